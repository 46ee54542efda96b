-- A dead letter expires once, so that its loss is told once. Those of a day ago were forgotten by earlier versions.
alter table delivery add column expired integer not null default 0;
update delivery set expired = 1
 where state = 'failed' and ended_at_ms < (unixepoch() - 86400) * 1000
   and incident_id in (select id from incident where resolved_at_ms is not null);
