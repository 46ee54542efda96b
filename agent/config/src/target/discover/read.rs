//! Reads one of `targets`, with its addresses where it has several.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lookout_engine::Grid;

use super::template::Template;
use super::{AddressSource, Discovery, FoundAddress, dns, files, kubernetes};
use crate::keys::target::{discover, target};
use crate::reader::{At, Fields, Reader, quoted_list};
use crate::secret::Secrets;
use crate::target::Target;
use crate::target::http::read_whole;
use crate::target::read::read_target;
use crate::yaml::Value;

/// Addresses of one target unless it says otherwise.
const LIMIT: u64 = 100;

/// Time between two lookups unless it is written: files cost little, servers are spared.
const REFRESH_FILES: Duration = Duration::from_secs(5);
const REFRESH: Duration = Duration::from_secs(30);

/// One of `targets` as it was read: a target, or one for each address that is known already.
#[derive(Default)]
pub(crate) struct ReadTargets {
    pub(crate) targets: Vec<Target>,
    pub(crate) discovery: Option<Discovery>,
}

/// Reads one of `targets`. All of its addresses, or none.
pub(crate) fn read_targets(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    grid: Option<Grid>,
    folder: &Path,
) -> ReadTargets {
    let asked = match &at.node.value {
        Value::Map(_) => reader
            .open_fields(at, "")
            .and_then(|fields| fields.declared(target::OBJECT).get(target::DISCOVER)),
        _ => None,
    };
    let Some(asked) = asked else {
        let targets = read_target(reader, at, grid, folder).into_iter().collect();
        return ReadTargets { targets, discovery: None };
    };
    let template = Template::read(reader, at, grid, folder);
    let options = read_options(reader, &asked, folder);
    let (Some(template), Some(options)) = (template, options) else { return ReadTargets::default() };
    if reader.needs == Secrets::Unneeded {
        // what is generated is about all addresses at once, and does not change with them
        return ReadTargets { targets: vec![template.stand_in().clone()], discovery: None };
    }
    let Options { source, refresh, limit, read } = options;
    let name = template.stand_in().group.clone().unwrap_or_default();
    let discovery = Discovery { name, source, refresh, limit, read, template: Arc::new(template) };
    let Some(read) = &discovery.read else {
        return ReadTargets { targets: Vec::new(), discovery: Some(discovery) };
    };
    match discovery.targets(read) {
        Ok(targets) => ReadTargets { targets, discovery: Some(discovery) },
        Err(message) => {
            let most = discover::LIMIT.shape.whole().map_or(0, |(_, most)| most);
            let help = format!("list 1 to {limit} addresses, each once; `limit` allows up to {most}");
            reader.error(&asked, message, help);
            if let AddressSource::Files(files) = &discovery.source {
                files::watch(reader, files);
            }
            ReadTargets::default()
        }
    }
}

struct Options {
    source: AddressSource,
    refresh: Duration,
    limit: usize,
    read: Option<Vec<FoundAddress>>,
}

fn read_options(reader: &mut Reader<'_>, at: &At<'_>, folder: &Path) -> Option<Options> {
    let fields = reader.fields(at, discover::OBJECT)?;
    let limit =
        fields.get(discover::LIMIT).map_or(Some(LIMIT), |at| read_whole(reader, &at, discover::LIMIT));
    let refresh = match fields.get(discover::REFRESH) {
        Some(at) => read_refresh(reader, &at).map(Some),
        None => Some(None),
    };
    let (source, read) = read_source(reader, &fields, folder)?;
    let usual = if matches!(source, AddressSource::Files(_)) { REFRESH_FILES } else { REFRESH };
    let refresh = refresh?.unwrap_or(usual);
    Some(Options { source, refresh, limit: usize::try_from(limit?).ok()?, read })
}

fn read_refresh(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Duration> {
    let refresh = reader.duration(at)?;
    if refresh < Duration::from_secs(1) {
        reader.error(at, "addresses are looked up once a second at most", "write at least `1s`");
        return None;
    }
    Some(refresh)
}

fn read_source(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    folder: &Path,
) -> Option<(AddressSource, Option<Vec<FoundAddress>>)> {
    let keys = [discover::FILES, discover::DNS, discover::KUBERNETES];
    let named: Vec<_> = keys.into_iter().filter_map(|key| Some((key.name, fields.get(key)?))).collect();
    match named.as_slice() {
        [] => {
            let names = keys.map(|key| key.name);
            let message = format!("addresses come from one of {}", quoted_list(&names));
            reader.error(&fields.at, message, "name one, like `files: [\"targets/*.yaml\"]`");
            None
        }
        [_, (_, second), ..] => {
            let names: Vec<&str> = named.iter().map(|(name, _)| *name).collect();
            let message = format!("addresses come from one source, these from {}", quoted_list(&names));
            reader.error(second, message, "make a target of each");
            None
        }
        [(name, at)] if *name == discover::FILES.name => {
            let (source, read) = files::read(reader, at, folder)?;
            Some((AddressSource::Files(source), read))
        }
        [(name, at)] if *name == discover::DNS.name => {
            Some((AddressSource::Dns(dns::read(reader, at)?), None))
        }
        [(_, at)] => Some((AddressSource::Kubernetes(kubernetes::read(reader, at, folder)?), None)),
    }
}
