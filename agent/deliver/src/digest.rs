//! The content of a message about several incidents: the worst first, as many as a person reads.

use std::collections::BTreeMap;

use lookout_engine::Severity;
use lookout_model::Notice;
use lookout_model::format::{count, date_time, duration, several};

use super::group::{Update, worst_first};
use super::message::{HEADLINE, Message, TEXT, Tone, clean, deploy_text, is_over, usable_url};

/// Number of incidents that a message names; the page of incidents names all.
const MAX_NAMED: usize = 20;
/// Largest length of a line about one incident in characters.
const LINE: usize = 120;
/// Number of services that a message names.
const SERVICES: usize = 10;

impl Message {
    /// Creates the message about the present state of several incidents, which are sorted: the worst first.
    #[must_use]
    pub fn of_group(members: &[Notice]) -> Self {
        let Some(worst) = members.first() else { return Self::empty() };
        let more = members.len().saturating_sub(MAX_NAMED);
        let mut list: Vec<String> =
            members.iter().take(MAX_NAMED).map(|notice| clean(&Self::of(notice).headline, LINE)).collect();
        if more > 0 {
            list.push(format!("and {} more", count(more as u64)));
        }
        let of_worst = Self::of(worst);
        let text = of_worst.headline.split_once("] ").map_or("", |(_, text)| text);
        let all_over = members.iter().all(is_over);
        let sentence = if all_over {
            format!("All {} are resolved.", several(members.len(), "incident"))
        } else {
            format!("The worst is {text}. {}", of_worst.sentence)
        };
        let mut links = of_worst.links;
        links.retain(|(label, _)| *label != "Explain");
        links.extend(usable_url(&worst.incidents_url).map(|url| ("All incidents", url)));
        Self {
            headline: headline(members, all_over),
            sentence,
            trend: None,
            description: String::new(),
            fields: fields(members, worst, all_over),
            list,
            links,
            footnote: clean(&format!("{} · {}", several(members.len(), "incident"), worst.incident.id), TEXT),
            tone: of_worst.tone,
        }
    }

    /// Creates the message of a group. What people did about an incident is told alone: the state of the group is known.
    #[must_use]
    pub fn of_update(update: &Update) -> Self {
        let only_news = update.deliveries.iter().all(|delivery| delivery.notice.news.is_some());
        if only_news && !update.deliveries.is_empty() {
            return Self::of_changed(update);
        }
        Self::of_group(&update.members)
    }

    /// Creates the message about the incidents that changed, without the others of the group.
    #[must_use]
    pub fn of_changed(update: &Update) -> Self {
        match update.deliveries.as_slice() {
            [delivery] => Self::of(&delivery.notice),
            several => {
                let mut changed: Vec<Notice> =
                    several.iter().map(|delivery| delivery.notice.clone()).collect();
                worst_first(&mut changed);
                Self::of_group(&changed)
            }
        }
    }

    fn empty() -> Self {
        Self {
            headline: "[RESOLVED] no incident".to_owned(),
            sentence: String::new(),
            trend: None,
            description: String::new(),
            fields: Vec::new(),
            list: Vec::new(),
            links: Vec::new(),
            footnote: String::new(),
            tone: Tone::Good,
        }
    }
}

/// Returns the services with their numbers of incidents, the largest number first.
fn services(members: &[Notice]) -> Vec<(&str, usize)> {
    let mut services: BTreeMap<&str, usize> = BTreeMap::new();
    for notice in members {
        *services.entry(notice.incident.service.as_str()).or_default() += 1;
    }
    let mut services: Vec<_> = services.into_iter().collect();
    services.sort_by_key(|(_, incidents)| core::cmp::Reverse(*incidents));
    services
}

fn headline(members: &[Notice], all_over: bool) -> String {
    let open = members.iter().filter(|notice| !is_over(notice)).count();
    let pages = members.iter().any(|notice| !is_over(notice) && notice.incident.severity == Severity::Page);
    let tag = match (all_over, pages) {
        (true, _) => "[RESOLVED]",
        (false, true) => "[PAGE]",
        (false, false) => "[TICKET]",
    };
    let all = several(members.len(), "incident");
    let state = if all_over {
        format!("{all} over")
    } else if open == members.len() {
        format!("{all} at once")
    } else {
        format!("{} of {all} open", count(open as u64))
    };
    let name = match services(members).as_slice() {
        [(service, _)] => (*service).to_owned(),
        services => format!("{} services", services.len()),
    };
    let room = HEADLINE.saturating_sub(tag.len() + state.chars().count() + 3);
    format!("{tag} {}: {state}", clean(&name, room))
}

fn fields(members: &[Notice], worst: &Notice, all_over: bool) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    if members.iter().any(|notice| notice.not_recorded) {
        let text = "the ledger could not store this; a restart may forget it";
        fields.push(("Not recorded".to_owned(), text.to_owned()));
    }
    let services = services(members);
    if services.len() > 1 {
        let mut named: Vec<String> = services
            .iter()
            .take(SERVICES)
            .map(|(service, incidents)| format!("{} {}", clean(service, 30), count(*incidents as u64)))
            .collect();
        let more = services.len().saturating_sub(SERVICES);
        if more > 0 {
            named.push(format!("{} more", count(more as u64)));
        }
        fields.push(("Services".to_owned(), clean(&named.join(", "), 2 * TEXT)));
    }
    let started = members.iter().map(|notice| notice.incident.began_at()).min();
    fields.extend(started.map(|at| ("Started".to_owned(), date_time(at))));
    let end = |notice: &Notice| notice.incident.recovered_at.or(notice.incident.resolved_at);
    let ended = members.iter().filter_map(end).max();
    if let (true, Some(started), Some(ended)) = (all_over, started, ended) {
        let lasted = ended.seconds_since(started);
        if lasted >= 0.0 {
            fields.push(("Duration".to_owned(), duration(lasted)));
        }
    }
    let environment = worst.environment.as_deref().map(|text| clean(text, TEXT));
    fields.extend(environment.map(|text| ("Environment".to_owned(), text)));
    if let Some(deploy) = &worst.last_deploy {
        fields.push(("Last deploy".to_owned(), deploy_text(deploy, worst.incident.detected_at)));
    }
    if let Some(failure) = worst.last_failure.as_deref().filter(|_| !all_over) {
        fields.push(("Last failure".to_owned(), clean(failure, TEXT)));
    }
    fields
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lookout_model::sample::{T0, lifecycle};
    use lookout_model::{Acknowledgement, Delivery, News};

    use super::*;

    fn group(services: &[&str], n: usize, change: usize) -> Vec<Notice> {
        let one = |n: usize| {
            let mut notice = lifecycle(T0 + Duration::from_millis(n as u64), &[])[change].notice.clone();
            notice.incident.service = services[n % services.len()].to_owned();
            notice.incident.slo = format!("slo-{n}");
            notice.incident.slo_id = format!("slo-{n:03}");
            notice
        };
        Update::new(Vec::new(), None, (0..n).map(one).collect()).members
    }

    #[test]
    fn a_group_names_the_worst_and_counts_the_rest() {
        let mut members = group(&["titanic"], 200, 0);
        members[150].incident.severity = Severity::Page;
        let members = Update::new(Vec::new(), None, members).members;
        let message = Message::of_group(&members);
        assert_eq!(message.headline, "[PAGE] titanic: 200 incidents at once");
        assert!(
            message.sentence.starts_with("The worst is titanic slo-150: burning"),
            "{}",
            message.sentence
        );
        assert_eq!(message.list.len(), 21);
        assert!(message.list[0].starts_with("[PAGE] titanic slo-150"), "{:?}", message.list);
        assert_eq!(message.list[20], "and 180 more");
        assert!(
            message.links.iter().any(|(label, url)| *label == "All incidents" && url.ends_with("/incidents"))
        );
    }

    #[test]
    fn a_group_says_how_many_are_still_open_and_that_all_are_over() {
        let mut members = group(&["titanic"], 3, 0);
        members[0] = group(&["titanic"], 1, 3).remove(0);
        let members = Update::new(Vec::new(), None, members).members;
        let message = Message::of_group(&members);
        assert_eq!(message.headline, "[TICKET] titanic: 2 of 3 incidents open");
        assert!(message.list[2].starts_with("[RESOLVED]"), "{:?}", message.list);
        let over = Message::of_group(&group(&["titanic"], 3, 3));
        assert_eq!((over.headline.as_str(), over.tone), ("[RESOLVED] titanic: 3 incidents over", Tone::Good));
    }

    #[test]
    fn an_acknowledgement_in_a_group_is_told_alone() {
        let mut members = group(&["titanic"], 3, 1);
        let at = T0 + Duration::from_secs(300);
        let mut notice = members[1].clone();
        notice.news = Some(News::Acknowledged);
        notice.acknowledgement = Some(Acknowledgement { at, actor: "ana".to_owned(), note: String::new() });
        let delivery = |notice: Notice| Delivery {
            id: 1,
            destination: "chat".to_owned(),
            notice,
            attempts: 0,
            unsure: false,
            thread: Some("1".to_owned()),
        };
        let update = Update::new(vec![delivery(notice.clone())], Some("1".to_owned()), members.clone());
        assert_eq!(Message::of_update(&update).headline, "[ACKNOWLEDGED] titanic slo-1: by ana");
        assert!(update.is_loud() && !update.raises_page());
        members[2].news = Some(News::Repeated);
        let both = vec![delivery(notice), delivery(members[0].clone())];
        let update = Update::new(both, Some("1".to_owned()), members);
        let message = Message::of_update(&update);
        assert_eq!(message.headline, "[PAGE] titanic: 3 incidents at once");
        assert!(!message.list.iter().any(|line| line.contains("[REPEATED]")), "told before");
    }

    #[test]
    fn a_storm_is_counted_by_service() {
        let message = Message::of_group(&group(&["a", "b", "c", "d"], 10, 1));
        assert_eq!(message.headline, "[PAGE] 4 services: 10 incidents at once");
        assert_eq!(message.fields[0], ("Services".to_owned(), "a 3, b 3, c 2, d 2".to_owned()));
    }
}
