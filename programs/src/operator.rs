//! The configuration of Alertmanager that the Prometheus operator makes of `AlertmanagerConfig` objects, for checks that ask
//! `amtool` about them. Source: `pkg/alertmanager/amcfg.go` of prometheus-operator.

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

/// A file that stands for the Secret of an address, which the operator reads.
const ADDRESS: &str = "/etc/alertmanager/secrets/slack-webhook-url";

/// Receiver of the operator's own root.
const ROOT: &str = "null";

/// Returns the configuration with all objects, where `alertmanagerConfigMatcherStrategy` is `None`: no namespace is asked for.
///
/// # Errors
/// A field of an object that this translation does not know, by name.
pub fn alertmanager(objects: &[Value]) -> Result<Value> {
    let (mut routes, mut rules, mut receivers) = (Vec::new(), Vec::new(), vec![json!({ "name": ROOT })]);
    for object in objects {
        let text = |place: &str| object.pointer(place).and_then(Value::as_str);
        let name = text("/metadata/name").context("an AlertmanagerConfig has no name")?;
        // receivers of several objects may share a name
        let prefix = format!("{}/{name}/", text("/metadata/namespace").unwrap_or("default"));
        let spec =
            object.get("spec").and_then(Value::as_object).context("the AlertmanagerConfig has no spec")?;
        for (key, value) in spec {
            match (key.as_str(), value.as_array()) {
                ("route", None) => {
                    let mut route = translated(value, &prefix).context("route")?;
                    route.insert("continue".to_owned(), true.into());
                    routes.push(Value::Object(route));
                }
                ("inhibitRules", Some(list)) => {
                    for rule in list {
                        rules.push(Value::Object(translated(rule, &prefix).context("inhibitRules")?));
                    }
                }
                ("receivers", Some(list)) => {
                    for receiver in list {
                        receivers.push(Value::Object(translated(receiver, &prefix).context("receivers")?));
                    }
                }
                _ => bail!("{name}: `spec.{key}` is unknown"),
            }
        }
    }
    let route = json!({ "receiver": ROOT, "routes": routes });
    Ok(json!({ "route": route, "inhibit_rules": rules, "receivers": receivers }))
}

/// Returns a mapping of an object with the keys of Alertmanager's file.
fn translated(given: &Value, prefix: &str) -> Result<Map<String, Value>> {
    let mut made = Map::new();
    for (key, value) in given.as_object().context("no mapping")? {
        let list = |translate: fn(&Value, &str) -> Result<Value>| -> Result<Value> {
            let items = value.as_array().with_context(|| format!("`{key}` is no list"))?;
            items.iter().map(|item| translate(item, prefix)).collect()
        };
        let mapping: fn(&Value, &str) -> Result<Value> =
            |value, prefix| translated(value, prefix).map(Value::Object);
        let (name, value) = match key.as_str() {
            "receiver" | "name" => {
                let text = value.as_str().with_context(|| format!("`{key}` is no text"))?;
                (key.as_str(), format!("{prefix}{text}").into())
            }
            "matchers" => ("matchers", list(matcher)?),
            "sourceMatch" => ("source_matchers", list(matcher)?),
            "targetMatch" => ("target_matchers", list(matcher)?),
            "routes" => ("routes", list(mapping)?),
            "slackConfigs" => ("slack_configs", list(mapping)?),
            "apiURL" => ("api_url_file", ADDRESS.into()),
            "groupBy" => ("group_by", value.clone()),
            "groupWait" => ("group_wait", value.clone()),
            "groupInterval" => ("group_interval", value.clone()),
            "repeatInterval" => ("repeat_interval", value.clone()),
            "sendResolved" => ("send_resolved", value.clone()),
            "titleLink" => ("title_link", value.clone()),
            "equal" | "continue" | "color" | "title" | "text" | "fallback" => (key.as_str(), value.clone()),
            _ => bail!("`{key}` is unknown"),
        };
        made.insert(name.to_owned(), value);
    }
    Ok(made)
}

fn matcher(given: &Value, _: &str) -> Result<Value> {
    let text = |key: &str| {
        given.get(key).and_then(Value::as_str).with_context(|| format!("a matcher without {key}"))
    };
    Ok(format!("{}{}{:?}", text("name")?, text("matchType")?, text("value")?).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_become_one_configuration() {
        let object = json!({
            "metadata": { "name": "lookout", "namespace": "titanic" },
            "spec": {
                "route": { "receiver": "nobody", "groupBy": ["slo"], "routes": [
                    { "receiver": "slack", "matchers": [{ "name": "a", "matchType": "=", "value": "" }] },
                ] },
                "inhibitRules": [{ "sourceMatch": [], "targetMatch": [], "equal": ["slo"] }],
                "receivers": [{ "name": "slack", "slackConfigs": [
                    { "apiURL": { "name": "s", "key": "k" }, "sendResolved": true },
                ] }],
            },
        });
        assert_eq!(
            alertmanager(std::slice::from_ref(&object)).unwrap(),
            json!({
                "route": { "receiver": "null", "routes": [
                    { "receiver": "titanic/lookout/nobody", "group_by": ["slo"], "continue": true, "routes": [
                        { "receiver": "titanic/lookout/slack", "matchers": ["a=\"\""] },
                    ] },
                ] },
                "inhibit_rules": [{ "source_matchers": [], "target_matchers": [], "equal": ["slo"] }],
                "receivers": [{ "name": "null" }, { "name": "titanic/lookout/slack", "slack_configs": [
                    { "api_url_file": ADDRESS, "send_resolved": true },
                ] }],
            })
        );
        for (place, key) in [("/spec", "unknown"), ("/spec/route", "muted")] {
            let mut wrong = object.clone();
            wrong.pointer_mut(place).unwrap().as_object_mut().unwrap().insert(key.to_owned(), json!(1));
            assert!(format!("{:#}", alertmanager(&[wrong]).unwrap_err()).contains(key), "{key}");
        }
    }
}
