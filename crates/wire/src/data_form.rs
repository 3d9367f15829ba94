//! XEP-0004 Data forms, v2.13.2 <https://xmpp.org/extensions/xep-0004.html>
//!
//! What other documents put into a field (validation, media, file input) stays with it as elements, in order.

use crate::element::Element;
use crate::ns;
use crate::payload::{Payload, ReadError};

/// The field that says which kind of form this is (XEP-0068).
pub const FORM_TYPE: &str = "FORM_TYPE";

/// What is done with a form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FormKind {
    /// To be filled in.
    #[default]
    Form,
    /// Filled in.
    Submit,
    /// Not filled in: the person gave up.
    Cancel,
    /// Data in the shape of a form.
    Result,
}

impl FormKind {
    /// The attribute value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Submit => "submit",
            Self::Cancel => "cancel",
            Self::Result => "result",
        }
    }

    fn read(text: &str) -> Option<Self> {
        [Self::Form, Self::Submit, Self::Cancel, Self::Result].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// How a field is filled in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldKind {
    /// Yes or no.
    Boolean,
    /// Text that is only shown.
    Fixed,
    /// Not shown, goes back unchanged.
    Hidden,
    /// Several addresses.
    JidMulti,
    /// One address.
    JidSingle,
    /// Several of the options.
    ListMulti,
    /// One of the options.
    ListSingle,
    /// Several lines, one value each.
    TextMulti,
    /// One line, hidden while typed.
    TextPrivate,
    /// One line; also what unknown and missing types mean.
    #[default]
    TextSingle,
}

impl FieldKind {
    const ALL: [Self; 10] = [
        Self::Boolean,
        Self::Fixed,
        Self::Hidden,
        Self::JidMulti,
        Self::JidSingle,
        Self::ListMulti,
        Self::ListSingle,
        Self::TextMulti,
        Self::TextPrivate,
        Self::TextSingle,
    ];

    /// The attribute value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Fixed => "fixed",
            Self::Hidden => "hidden",
            Self::JidMulti => "jid-multi",
            Self::JidSingle => "jid-single",
            Self::ListMulti => "list-multi",
            Self::ListSingle => "list-single",
            Self::TextMulti => "text-multi",
            Self::TextPrivate => "text-private",
            Self::TextSingle => "text-single",
        }
    }

    fn read(text: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).unwrap_or_default()
    }
}

/// One option of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldOption {
    /// What is shown; the value if missing.
    pub label: Option<String>,
    /// What is submitted.
    pub value: String,
}

/// One field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// Name; every field that is not `fixed` has one.
    pub var: Option<String>,
    /// Type as written; `None` means text-single in a form, and "see the form" in a submission.
    pub kind: Option<FieldKind>,
    /// What is shown.
    pub label: Option<String>,
    /// More to say about it.
    pub desc: Option<String>,
    /// Whether it must be filled in.
    pub required: bool,
    /// Values in order.
    pub values: Vec<String>,
    /// Options of a list, in order.
    pub options: Vec<FieldOption>,
    /// Children of other namespaces in order: validation (XEP-0122), media (XEP-0221), files (XEP-0505), …
    pub others: Vec<Element>,
}

impl Field {
    /// A field without type and value.
    #[must_use]
    pub fn new(var: impl Into<String>) -> Self {
        Self { var: Some(var.into()), ..Self::default() }
    }

    /// This field with a type.
    #[must_use]
    pub fn with_kind(mut self, kind: FieldKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// This field with one more value.
    #[must_use]
    pub fn with_value(mut self, value: impl Into<String>) -> Self {
        self.values.push(value.into());
        self
    }

    /// The first value.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.values.first().map(String::as_str)
    }

    /// The values as lines of one text.
    #[must_use]
    pub fn text(&self) -> String {
        self.values.join("\n")
    }

    /// The value as yes or no; four spellings are in use.
    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        match self.value()?.trim() {
            "1" | "true" => Some(true),
            "0" | "false" => Some(false),
            _ => None,
        }
    }

    fn read(element: &Element) -> Self {
        let owned = |name: &str| element.attr(name).map(str::to_owned);
        let mut field = Self { var: owned("var"), label: owned("label"), ..Self::default() };
        field.kind = element.attr("type").map(FieldKind::read);
        for child in element.children() {
            match (child.ns(), child.name()) {
                (ns::DATA_FORM, "value") => field.values.push(child.text()),
                (ns::DATA_FORM, "desc") => field.desc = field.desc.or_else(|| Some(child.text())),
                (ns::DATA_FORM, "required") => field.required = true,
                (ns::DATA_FORM, "option") => {
                    let label = child.attr("label").map(str::to_owned);
                    field.options.extend(child.child_text("value").map(|value| FieldOption { label, value }));
                }
                _ => field.others.push(child.clone()),
            }
        }
        field
    }

    fn write(&self) -> Element {
        let child = |name: &str| Element::new(name, ns::DATA_FORM);
        let options = self
            .options
            .iter()
            .map(|option| child("option").with_attr_opt("label", option.label.as_deref()).with_text_child("value", &option.value));
        child("field")
            .with_attr_opt("var", self.var.as_deref())
            .with_attr_opt("type", self.kind.map(FieldKind::as_str))
            .with_attr_opt("label", self.label.as_deref())
            .with_child_opt(self.desc.as_ref().map(|desc| child("desc").with_text(desc)))
            .with_child_opt(self.required.then(|| child("required")))
            .with_children(self.values.iter().map(|value| child("value").with_text(value)))
            .with_children(options)
            .with_children(self.others.iter().cloned())
    }
}

/// A form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataForm {
    /// What is done with it.
    pub kind: FormKind,
    /// Heading.
    pub title: Option<String>,
    /// What to do, paragraph by paragraph.
    pub instructions: Vec<String>,
    /// Fields in order.
    pub fields: Vec<Field>,
    /// Columns of a result with items.
    pub reported: Option<Vec<Field>>,
    /// Rows of a result.
    pub items: Vec<Vec<Field>>,
    /// Children of other namespaces in order (layout by XEP-0141, …).
    pub others: Vec<Element>,
}

impl DataForm {
    /// An empty form.
    #[must_use]
    pub fn new(kind: FormKind) -> Self {
        Self { kind, ..Self::default() }
    }

    /// A form with a hidden FORM_TYPE.
    #[must_use]
    pub fn typed(kind: FormKind, form_type: impl Into<String>) -> Self {
        Self::new(kind).with(Field::new(FORM_TYPE).with_kind(FieldKind::Hidden).with_value(form_type))
    }

    /// This form with one more field.
    #[must_use]
    pub fn with(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    /// The field of a name; the first if there are several.
    #[must_use]
    pub fn field(&self, var: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.var.as_deref() == Some(var))
    }

    /// The first value of the field of a name.
    #[must_use]
    pub fn value(&self, var: &str) -> Option<&str> {
        self.field(var).and_then(Field::value)
    }

    /// FORM_TYPE: the value of a field of that name that is hidden, or, in a submission, has no type (XEP-0068 §3.1).
    #[must_use]
    pub fn form_type(&self) -> Option<&str> {
        let field = self.field(FORM_TYPE)?;
        match field.kind {
            Some(FieldKind::Hidden) => field.value(),
            None if self.kind == FormKind::Submit => field.value(),
            _ => None,
        }
    }
}

fn read_fields(element: &Element) -> Vec<Field> {
    element.children_named("field", ns::DATA_FORM).map(Field::read).collect()
}

impl Payload for DataForm {
    const NAME: &'static str = "x";
    const NS: &'static str = ns::DATA_FORM;

    fn read(element: &Element) -> Result<Self, ReadError> {
        Self::expect(element)?;
        let kind = element.required("type")?;
        let kind = FormKind::read(kind).ok_or_else(|| ReadError::new(element, "the type of the form is unknown"))?;
        let mut form = Self::new(kind);
        // Older services mix the order or put fields beside items: what is there is read.
        for child in element.children() {
            match (child.ns(), child.name()) {
                (ns::DATA_FORM, "title") => form.title = form.title.or_else(|| Some(child.text())),
                (ns::DATA_FORM, "instructions") => form.instructions.push(child.text()),
                (ns::DATA_FORM, "field") => form.fields.push(Field::read(child)),
                (ns::DATA_FORM, "reported") => form.reported = form.reported.or_else(|| Some(read_fields(child))),
                (ns::DATA_FORM, "item") => form.items.push(read_fields(child)),
                _ => form.others.push(child.clone()),
            }
        }
        Ok(form)
    }

    fn write(&self) -> Element {
        let group = |name: &str, fields: &[Field]| Element::new(name, ns::DATA_FORM).with_children(fields.iter().map(Field::write));
        let text = |name: &str, text: &String| Element::new(name, ns::DATA_FORM).with_text(text);
        Self::element()
            .with_attr("type", self.kind.as_str())
            .with_child_opt(self.title.as_ref().map(|title| text("title", title)))
            .with_children(self.instructions.iter().map(|paragraph| text("instructions", paragraph)))
            .with_children(self.others.iter().cloned())
            .with_children(self.fields.iter().map(Field::write))
            .with_child_opt(self.reported.as_ref().map(|fields| group("reported", fields)))
            .with_children(self.items.iter().map(|fields| group("item", fields)))
    }
}
