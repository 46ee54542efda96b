//! The declaration of a key, of its values and of the mapping that has it.

use serde_json::Value;

/// A duration as `lookout_model` parses it.
pub(crate) const DURATION: &str =
    "^(0|(?:[0-9]+y)?(?:[0-9]+w)?(?:[0-9]+d)?(?:[0-9]+h)?(?:[0-9]+m)?(?:[0-9]+s)?(?:[0-9]+ms)?)$";

/// A name as the reader accepts it.
pub(crate) const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$";

/// A key of a mapping.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// One sentence; empty where the sentence of the mapping under the key says it all.
    pub(crate) about: &'static str,
    /// The value that stands for a missing key, as YAML; empty where there is none.
    pub(crate) default: &'static str,
    pub(crate) required: bool,
    /// True if no reader of the mapping asks for it: the kind of document was known before, or it belongs to others.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test sees that every other key is read"))]
    pub(crate) unread: bool,
}

/// The values that a key or an item takes.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// Any value.
    Any,
    /// A text.
    Text,
    /// A text that is kept out of every output.
    Secret,
    /// A text, or a number that is taken as one.
    Scalar,
    /// A name that is safe as a label, in a path and in a file name.
    Name,
    /// A duration such as `90s`.
    Duration,
    /// `true` or `false`.
    Switch,
    /// A number.
    Number,
    /// A number from the first up to, but not including, the second.
    Below(f64, f64),
    /// A number from the first to the second.
    Between(f64, f64),
    /// A whole number from the first to the second.
    Whole(u64, u64),
    /// A whole number from the first.
    Count(u64),
    /// A text that matches a regular expression.
    Pattern(&'static str),
    /// A text that is not empty.
    Filled,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// One of a few values.
    Values(&'static [Literal]),
    /// One word.
    Const(&'static str),
    /// A list.
    List(&'static Self),
    /// A list with at least one item.
    NonEmpty(&'static Self),
    /// A list with exactly one item.
    Single(&'static Self),
    /// A mapping with keys of the user's own.
    Map(&'static Self),
    /// A mapping with declared keys.
    Object(&'static Object),
    /// The annotations of OpenSLO: those of lookout are declared, those of others are left alone.
    Annotations(Option<&'static Object>),
    /// A value of one shape or several.
    AnyOf(&'static [Self]),
    /// A value of exactly one shape.
    OneOf(&'static [Self]),
    /// A shape with a sentence of its own.
    About(&'static str, &'static Self),
}

/// A text or a number that stands for itself.
#[derive(Clone, Copy)]
pub(crate) enum Literal {
    Text(&'static str),
    Number(f64),
}

/// A mapping with declared keys.
pub(crate) struct Object {
    /// The path of its declaration.
    pub(crate) path: &'static str,
    /// One sentence.
    pub(crate) about: &'static str,
    pub(crate) keys: &'static [Key],
    /// Sets of keys of which exactly one must be there.
    pub(crate) choices: &'static [&'static [Key]],
    /// Further keywords of its JSON schema.
    pub(crate) constraint: Option<fn() -> Value>,
    /// True if other keys are accepted too.
    pub(crate) open: bool,
    /// The mapping it is a special case of: the reader opens that one.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test sees that every key is read there"))]
    pub(crate) base: Option<&'static Self>,
}

impl Shape {
    /// Returns the bounds of the whole number that it takes.
    pub(crate) fn whole(self) -> Option<(u64, u64)> {
        match self {
            Self::Whole(least, most) => Some((least, most)),
            Self::About(_, shape) => shape.whole(),
            Self::AnyOf(shapes) | Self::OneOf(shapes) => shapes.iter().find_map(|shape| shape.whole()),
            _ => None,
        }
    }
}

impl Key {
    /// Returns the same key with a narrower shape, in a special case of its mapping.
    pub(crate) const fn of(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    /// Returns the same key with another sentence.
    pub(crate) const fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    /// Returns the same key with the value that stands for it when it is missing.
    pub(crate) const fn default(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    /// Returns the same key, which must be there.
    pub(crate) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// Returns the same key, which may be left out.
    pub(crate) const fn optional(self) -> Self {
        Self { required: false, ..self }
    }

    /// Returns the same key, which no reader of the mapping asks for.
    pub(crate) const fn unread(self) -> Self {
        Self { unread: true, ..self }
    }
}

impl Object {
    /// The empty declaration, for the fields that most mappings leave out.
    pub(super) const EMPTY: Self =
        Self { path: "", about: "", keys: &[], choices: &[], constraint: None, open: false, base: None };

    /// Returns the names of the keys, in the order of the declaration.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.keys.iter().map(|key| key.name).collect()
    }

    /// Returns whether a key is declared.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name == name)
    }

    /// Checks, in builds that are not shipped, that a key which is read is declared.
    pub(crate) fn expect_key(&'static self, key: Key) {
        debug_assert!(self.has(key.name), "{} has no key `{}`", self.path, key.name);
        #[cfg(test)]
        super::reads_tests::note(self, key);
    }

    /// Returns whether a value of it is a secret.
    pub(crate) fn has_secret(&self) -> bool {
        self.keys.iter().any(|key| matches!(key.shape, Shape::Secret))
    }
}

/// Returns a key that may be left out.
pub(super) const fn key(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, shape, about, default: "", required: false, unread: false }
}

/// Returns a key that must be there.
pub(super) const fn required(name: &'static str, shape: Shape, about: &'static str) -> Key {
    key(name, shape, about).required()
}

impl Shape {
    /// Returns the mappings that a value may be or hold, not looking into those.
    pub(crate) fn objects(&self) -> Vec<&'static Object> {
        match self {
            Self::Object(object) | Self::Annotations(Some(object)) => vec![object],
            Self::List(shape) | Self::NonEmpty(shape) | Self::Single(shape) => shape.objects(),
            Self::Map(shape) | Self::About(_, shape) => shape.objects(),
            Self::AnyOf(shapes) | Self::OneOf(shapes) => shapes.iter().flat_map(Self::objects).collect(),
            _ => Vec::new(),
        }
    }
}

/// Declares a mapping: a module with a constant per key and the `OBJECT` that lists them.
macro_rules! object {
    ($module:ident: $about:literal { $($key:ident = $declared:expr;)* } $($field:ident: $value:expr;)*) => {
        pub(crate) mod $module {
            use super::*;
            $(pub(crate) const $key: Key = $declared;)*
            pub(crate) const OBJECT: &Object = &Object {
                path: concat!(module_path!()),
                about: $about,
                keys: &[$($key),*],
                $($field: $value,)*
                ..Object::EMPTY
            };
        }
    };
}
pub(super) use object;
