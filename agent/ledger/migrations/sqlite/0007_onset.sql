-- Begin of the first bad slot that led to an incident, end of the last one, and the instant until which an alert reopens
-- it. Older incidents have none.
alter table incident add column started_at_ms integer;
alter table incident add column recovered_at_ms integer;
alter table incident add column reopens_until_ms integer;
