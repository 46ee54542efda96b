-- Begin of the first bad slot that led to an incident, and end of the last one. Older incidents have none.
alter table incident add column started_at_ms integer;
alter table incident add column recovered_at_ms integer;
