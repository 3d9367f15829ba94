//! What a form asks for when it wants files.

use balcony_wire::file_input::FileInput;
use balcony_wire::reading::Dropped;
use balcony_wire::{Element, Payload as _, ns};

use super::value::{Value, object};

/// The first `file-input` in the elements, with what it asks for. The files in it are shares, and told there.
pub(super) fn first(elements: &[Element], notes: &mut Vec<Dropped>) -> Option<Value> {
    let mut inputs = Vec::new();
    elements.iter().for_each(|element| find(element, &mut inputs));
    let (first, others) = inputs.split_first()?;
    let input = FileInput::read(first).ok()?;
    if !others.is_empty() {
        notes.push(Dropped::new(format!("{} more file-input", others.len()), "only the first is told"));
    }
    notes.extend(input.dropped.into_iter().filter(|dropped| !matches!(dropped.what.as_str(), "file-sharing" | "file")));
    Some(object([
        ("multiple", input.multiple.into()),
        ("accept", Value::list(input.accept.iter().map(|accept| accept.as_str().into()))),
        ("use", Value::list(input.uses.iter().map(|jid| jid.as_str().into()))),
    ]))
}

/// Depth first; what stands in messages inside the message is somebody else's.
fn find<'a>(element: &'a Element, inputs: &mut Vec<&'a Element>) {
    match element.ns() {
        ns::FORWARD | ns::CARBONS | ns::MAM => {}
        _ if FileInput::matches(element) => inputs.push(element),
        _ => element.children().for_each(|child| find(child, inputs)),
    }
}
