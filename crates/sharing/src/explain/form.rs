//! What a form asks for when it wants files.

use balcony_wire::file_input::FileInput;
use balcony_wire::reading::Dropped;
use balcony_wire::{Element, Payload as _, ns};

use super::value::{Value, object};

/// The first `file-input` in the elements, with what it asks for. The files in it are shares, and told there.
pub(super) fn first(elements: &[Element], notes: &mut Vec<Dropped>) -> Option<Value> {
    let input = FileInput::read(elements.iter().find_map(find)?).ok()?;
    notes.extend(input.dropped.into_iter().filter(|dropped| !matches!(dropped.what.as_str(), "file-sharing" | "file")));
    Some(object([
        ("multiple", input.multiple.into()),
        ("accept", Value::list(input.accept.iter().map(|accept| accept.as_str().into()))),
        ("use", Value::list(input.uses.iter().map(|jid| jid.as_str().into()))),
    ]))
}

/// Depth first; what stands in messages inside the message is somebody else's.
fn find(element: &Element) -> Option<&Element> {
    match element.ns() {
        ns::FORWARD | ns::CARBONS | ns::MAM => None,
        _ if FileInput::matches(element) => Some(element),
        _ => element.children().find_map(find),
    }
}
