//! A passenger as clients send and receive it.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

pub use super::values::{Age, Class, Fare, Name, Relatives, Sex};
use crate::fields::{FieldError, Fields};

/// A passenger as stored and served.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Passenger {
    /// UUID v7: ids sort by when they were made.
    pub id: Uuid,
    /// Everything that a client says.
    #[serde(flatten)]
    pub details: NewPassenger,
    /// The state of the passenger.
    #[serde(flatten)]
    pub stamp: Stamp,
}

/// The version and time of a change, set by the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Stamp {
    /// One more with each change.
    pub version: i64,
    /// The time of the last change, to the millisecond.
    pub updated_at: Timestamp,
}

impl Stamp {
    /// The stamp of a new passenger.
    #[must_use]
    pub fn first(now: Timestamp) -> Self {
        Self { version: 1, updated_at: to_the_millisecond(now) }
    }

    /// The stamp of the next state.
    #[must_use]
    pub fn next(self, now: Timestamp) -> Self {
        Self { version: self.version.saturating_add(1), updated_at: to_the_millisecond(now) }
    }

    /// The entity tag of this state. The version alone would do, were it not that a restored backup sets versions back.
    #[must_use]
    pub fn entity_tag(self) -> String {
        format!("\"{}-{:x}\"", self.version, self.updated_at.as_millisecond())
    }
}

/// Rounds to the precision of both databases.
fn to_the_millisecond(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

/// The properties that a client sets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewPassenger {
    /// Family name, title, given names.
    pub name: Name,
    /// The class travelled in.
    pub class: Class,
    /// The sex.
    pub sex: Sex,
    /// Unknown for every fifth passenger.
    pub age: Option<Age>,
    /// Pounds paid, where that is known.
    pub fare: Option<Fare>,
    /// Siblings or spouses aboard.
    pub siblings_or_spouses_aboard: Relatives,
    /// Parents or children aboard.
    pub parents_or_children_aboard: Relatives,
    /// True if the passenger was saved.
    pub survived: bool,
}

/// The fields that the service sets. A client that sends back a body is told why they are refused.
const OURS: [&str; 3] = ["id", "version", "updated_at"];

impl NewPassenger {
    /// Reads a passenger out of JSON, or names every field that is wrong.
    pub fn from_json(mut object: Map<String, Value>) -> Result<Self, Vec<FieldError>> {
        let ours = OURS.map(|name| object.remove(name).map(|_| name));
        let mut fields = Fields::new(object);
        let name = fields.required("name", Name::from_json);
        let class = fields.required("class", Class::from_json);
        let sex = fields.required("sex", Sex::from_json);
        let age = fields.optional("age", Age::from_json).flatten();
        let fare = fields.optional("fare", Fare::from_json).flatten();
        let siblings = fields.optional("siblings_or_spouses_aboard", Relatives::from_json);
        let parents = fields.optional("parents_or_children_aboard", Relatives::from_json);
        let survived =
            fields.required("survived", |v| v.as_bool().ok_or_else(|| String::from("true or false")));
        for name in ours.into_iter().flatten() {
            fields.refuse(name, "is set by the service; leave it out");
        }
        let (Some(name), Some(class), Some(sex), Some(survived)) = (name, class, sex, survived) else {
            return Err(fields.errors());
        };
        fields.finish(Self {
            name,
            class,
            sex,
            age,
            fare,
            siblings_or_spouses_aboard: siblings.unwrap_or_default(),
            parents_or_children_aboard: parents.unwrap_or_default(),
            survived,
        })
    }

    /// Reads a passenger from a body that may be one that was read before: its version and time are ignored, and its id
    /// is returned.
    pub fn from_stored(mut object: Map<String, Value>) -> Result<(Option<Uuid>, Self), Vec<FieldError>> {
        let id = object.remove("id").map(|id| stored_id(&id)).transpose();
        let (_version, _updated_at) = (object.remove("version"), object.remove("updated_at"));
        match (id, Self::from_json(object)) {
            (Ok(id), Ok(passenger)) => Ok((id, passenger)),
            (id, read) => Err(read.err().into_iter().flatten().chain(id.err()).collect()),
        }
    }

    /// Returns a digest of everything that the client said.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        // Text and numbers only: this cannot fail.
        Sha256::digest(serde_json::to_vec(self).unwrap_or_default()).into()
    }

    /// Returns the id of a passenger that was imported without one. Passengers of whom the same is said have the same, so
    /// that lines which are sent again add nobody.
    #[must_use]
    pub fn natural_id(&self) -> Uuid {
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(self.digest()).for_each(|(to, from)| *to = from);
        Builder::from_custom_bytes(bytes).into_uuid()
    }

    /// The passenger after a JSON merge patch (RFC 7396), or every field that would then be wrong. A field that is set to
    /// null goes, and what goes falls back to what it means when it is left out.
    pub fn patched(&self, patch: Map<String, Value>) -> Result<Self, Vec<FieldError>> {
        let Ok(Value::Object(mut object)) = serde_json::to_value(self) else { return Err(Vec::new()) };
        for (name, value) in patch {
            // What is not known is not taken away either: it is refused below.
            if value.is_null() && object.contains_key(&name) {
                object.remove(&name);
            } else {
                object.insert(name, value);
            }
        }
        Self::from_json(object)
    }
}

/// Reads an id. Pages begin behind the nil UUID: whoever had it would be in no export and no backup.
fn stored_id(id: &Value) -> Result<Uuid, FieldError> {
    let id = id.as_str().filter(|id| id.len() == 36).and_then(|id| Uuid::try_parse(id).ok());
    let id = id.filter(|id| !id.is_nil());
    id.ok_or_else(|| FieldError::new("id", "must be a UUID with hyphens, and not the nil UUID"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<NewPassenger, Vec<String>> {
        let Value::Object(object) = value else { panic!("not an object") };
        NewPassenger::from_json(object)
            .map_err(|errors| errors.into_iter().map(|e| format!("{} {}", e.field, e.detail)).collect())
    }

    #[test]
    fn what_may_be_left_out_has_a_meaning() {
        let read = read(json!({"name": " Smith, Capt. E J ", "class": 1, "sex": "male", "survived": false}));
        let passenger = read.unwrap();
        assert_eq!(passenger.name.as_str(), "Smith, Capt. E J");
        assert_eq!(passenger.age, None);
        assert_eq!(passenger.siblings_or_spouses_aboard.get(), 0);
    }

    #[test]
    fn every_wrong_field_is_named() {
        let errors = read(json!({
            "name": "\u{7}", "class": "1", "sex": "Male", "age": -1, "siblings_or_spouses_aboard": 31,
            "survived": "yes", "fare": "free", "cabin": "C85", "id": 7
        }))
        .unwrap_err();
        assert_eq!(
            errors,
            [
                r#"name must be a text of 1 to 200 characters without control characters or marks of direction, not "\u0007""#,
                r#"class must be a whole number from 1 to 3, not "1""#,
                r#"sex must be `female` or `male`, not "Male""#,
                "age must be a number from 0 to 120, or null, not -1",
                r#"fare must be a number from 0 to 10000, or null, not "free""#,
                "siblings_or_spouses_aboard must be a whole number from 0 to 30, not 31",
                r#"survived must be true or false, not "yes""#,
                "id is set by the service; leave it out",
                "cabin is not known; the fields are name, class, sex, age, fare, siblings_or_spouses_aboard, \
                 parents_or_children_aboard, survived",
            ]
        );
    }

    #[test]
    fn a_patch_changes_what_it_names_and_null_takes_away() {
        let before = read(json!({"name": "A", "class": 1, "sex": "male", "age": 30, "survived": false,
            "siblings_or_spouses_aboard": 2}))
        .unwrap();
        let patched = |patch: Value| before.patched(patch.as_object().unwrap().clone());
        assert_eq!(patched(json!({})).unwrap(), before);
        let after = patched(json!({"age": null, "fare": 7.25, "siblings_or_spouses_aboard": null})).unwrap();
        assert_eq!((after.age, after.siblings_or_spouses_aboard.get()), (None, 0));
        assert_eq!((after.fare.map(Fare::get), after.name), (Some(7.25), before.name.clone()));
        let errors = patched(json!({"name": null, "class": {"of": 1}, "cabin": "C85"})).unwrap_err();
        assert_eq!(errors.iter().map(|e| e.field.as_str()).collect::<Vec<_>>(), ["name", "class", "cabin"]);
    }

    #[test]
    fn every_state_has_an_entity_tag_of_its_own() {
        let now = Timestamp::from_millisecond(255).unwrap();
        let first = Stamp::first(now);
        assert_eq!(first.entity_tag(), "\"1-ff\"");
        assert_ne!(first.next(now).entity_tag(), first.entity_tag());
    }
}
