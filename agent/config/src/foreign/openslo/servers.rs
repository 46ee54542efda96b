//! OpenSLO's `DataSource` of the type `prometheus`: a server like those in `lookout.yaml`, under the name by which SLIs
//! refer to it.
//!
//! ```yaml
//! kind: DataSource
//! metadata: { name: main }
//! spec:
//!   type: prometheus
//!   connectionDetails: { url: "http://prometheus:9090", bearer_token_file: token }   # keys as in prometheus.rs
//! ```
//!
//! OpenSLO leaves the details to the tool, so keys of others are listed, not refused. A secret never stands in the file:
//! such files are shared. One of the same name in `lookout.yaml` is the one that is asked.

use lookout_engine::Grid;

use crate::foreign::output::quote;
use crate::keys::server::{basic_auth, server};
use crate::known::{GRID_SECONDS, Known, QueryTiming};
use crate::model::Prometheus;
use crate::prometheus::read_prometheus;
use crate::reader::{At, Reader};
use crate::yaml::{Node, Value};

/// The servers that data sources declare.
#[derive(Default)]
pub(crate) struct Servers {
    grid: Option<Grid>,
    /// Names in lookout.yaml, when there is one.
    declared: Option<Vec<String>>,
    /// Those that were read, and the names of those that are wrong.
    pub(crate) read: Vec<Prometheus>,
    pub(crate) wrong: Vec<String>,
}

impl Servers {
    /// Beside those of a `lookout.yaml`.
    pub(crate) fn beside(known: &Known) -> Self {
        let names =
            |all: &Vec<(String, Option<QueryTiming>)>| all.iter().map(|(name, _)| name.clone()).collect();
        let declared = known.prometheus.as_ref().map(names);
        Self { grid: known.grid, declared, ..Self::default() }
    }

    /// Returns whether lookout.yaml has a server of this name.
    pub(crate) fn is_declared(&self, name: &str) -> bool {
        self.declared.iter().flatten().any(|known| known == name)
    }

    /// The `connectionDetails` of a data source.
    pub(crate) fn read(&mut self, reader: &mut Reader<'_>, at: &At<'_>, name: &str) {
        if self.is_declared(name) {
            let help = "lookout.yaml has a server of this name, which is the one that is asked";
            reader.lost(at, "how the data source is reached", help);
            hide(reader, at.node);
            return;
        }
        match self.read_details(reader, at, name) {
            Some(server) => self.read.push(server),
            None => self.wrong.push(name.to_owned()),
        }
    }

    fn read_details(&self, reader: &mut Reader<'_>, at: &At<'_>, name: &str) -> Option<Prometheus> {
        let fields = reader.open_fields(at, "with `url`")?;
        let mut details =
            Node::mapping([(server::NAME.name, Node::text(name, &at.node.place))], &at.node.place);
        let mut safe = true;
        for (key, value) in fields.all() {
            if !server::OBJECT.has(&key.name) || key.name == server::NAME.name {
                let what = format!("`{}` of the connection", quote(&key.name));
                reader.lost(&value, what, "the keys are those of `prometheus` in lookout.yaml");
                hide(reader, value.node);
                continue;
            }
            safe &= no_secret(reader, &key.name, &value);
            details.put(&key.name, value.node.clone());
        }
        let grid = self.grid.or_else(|| Grid::try_new(GRID_SECONDS).ok());
        let folder = reader.file.parent().map(std::path::Path::to_owned).unwrap_or_default();
        let at = At { node: &details, key: at.key.clone() };
        read_prometheus(reader, &at, grid, &folder).filter(|_| safe)
    }
}

/// Returns whether the value holds no secret itself: only names of variables and files are allowed.
fn no_secret(reader: &mut Reader<'_>, name: &str, at: &At<'_>) -> bool {
    let (headers, token) = (name == server::HEADERS.name, name == server::BEARER_TOKEN.name);
    match &at.node.value {
        Value::Map(_) if headers || name == server::BASIC_AUTH.name => {
            let Some(fields) = reader.within(at) else { return true };
            let entries = fields.all().filter(|(key, _)| headers || key.name == basic_auth::PASSWORD.name);
            // each is looked at: all of them are to be masked
            entries.filter(|(_, value)| !is_reference(reader, value)).count() == 0
        }
        _ if token => is_reference(reader, at),
        _ => true,
    }
}

fn is_reference(reader: &mut Reader<'_>, at: &At<'_>) -> bool {
    let named = match &at.node.value {
        Value::Text(text) => text.contains("${"),
        // a header may be read from a file
        Value::Map(_) => true,
        _ => false,
    };
    if !named {
        hide(reader, at.node);
        let help = "name where it comes from: `${NAME}` for a variable, or a file";
        reader.error(at, "what may be secret does not stand in a file that is shared", help);
    }
    named
}

/// Any value of a connection may be a secret.
pub(crate) fn hide(reader: &mut Reader<'_>, node: &Node) {
    match &node.value {
        Value::Map(entries) => entries.iter().for_each(|(_, node)| hide(reader, node)),
        Value::List(nodes) => nodes.iter().for_each(|node| hide(reader, node)),
        _ => reader.secrets.push(node.place.span.clone()),
    }
}
