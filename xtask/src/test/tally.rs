//! Counts of tests, and where they stand in what the runners print.

/// How many passed, failed, were skipped.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// These said that they left themselves out, which the runner took for passing.
    pub(crate) fn skip_passed(&mut self, count: usize) {
        let count = count.min(self.passed);
        self.passed -= count;
        self.skipped += count;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// All that a runner counted. Of cargo-nextest only its own summary counts: it shows what a failed test printed, and that ends with
/// a `test result:` of its own.
pub(crate) fn count(lines: &[String]) -> Tally {
    let mut tally = Tally::default();
    let summed_up = lines.iter().rev().find(|line| line.trim_start().starts_with(SUMMARY));
    match summed_up {
        Some(summary) => read_counts(summary).iter().for_each(|counts| tally.add(counts)),
        None => lines.iter().filter_map(|line| read_counts(line)).for_each(|counts| tally.add(&counts)),
    }
    tally
}

/// How the last line of cargo-nextest begins.
const SUMMARY: &str = "Summary [";

/// The counts in a runner's summary line:
/// `     Summary [   8.813s] 12 tests run: 9 passed (1 slow), 2 failed, 1 timed out, 3 skipped` or
/// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s`.
fn read_counts(line: &str) -> Option<Tally> {
    let line = line.trim();
    let counts = match line.strip_prefix("test result: ") {
        Some(rest) => rest.split_once(". ")?.1,
        None => line.strip_prefix(SUMMARY)?.split_once("run: ")?.1,
    };
    let mut tally = Tally::default();
    for part in counts.split([',', ';']) {
        let Some((number, what)) = part.trim().split_once(' ') else { continue };
        let Ok(number) = number.parse::<usize>() else { continue };
        let what = what.split(" (").next().unwrap_or_default();
        match what {
            "passed" => tally.passed += number,
            "failed" | "timed out" | "exec failed" => tally.failed += number,
            "skipped" | "ignored" => tally.skipped += number,
            _ => {}
        }
    }
    Some(tally)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nextest_and_cargo_are_both_understood() {
        let nextest = read_counts("     Summary [   8.813s] 15 tests run: 9 passed (1 slow), 2 failed, 1 timed out, 3 skipped").unwrap();
        assert_eq!(nextest, Tally { passed: 9, failed: 3, skipped: 3 });
        let cargo =
            read_counts("test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 7 filtered out; finished in 0.02s").unwrap();
        assert_eq!(cargo, Tally { passed: 3, failed: 1, skipped: 2 });
        assert_eq!(read_counts("        PASS [   0.006s] a test passed"), None);
    }

    #[test]
    fn a_failed_test_is_counted_once_though_nextest_shows_what_it_printed() {
        let inner = "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 80 filtered out; finished in 0.02s";
        let summary = "     Summary [   8.813s] 15 tests run: 14 passed, 1 failed, 3 skipped";
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            count(&lines(&["running 1 test", inner, summary, "        FAIL [   0.020s] a"])),
            Tally { passed: 14, failed: 1, skipped: 3 }
        );
        let doc = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s";
        assert_eq!(count(&lines(&[doc, "", doc])), Tally { passed: 6, failed: 0, skipped: 2 });
        assert_eq!(count(&[]), Tally::default());
    }

    #[test]
    fn a_test_that_left_itself_out_is_not_counted_as_passed() {
        let mut tally = Tally { passed: 5, failed: 0, skipped: 1 };
        tally.skip_passed(2);
        assert_eq!(tally.to_string(), "3 passed, 0 failed, 3 skipped");
    }
}
