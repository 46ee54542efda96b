-- Minutes, an hour of them in a row: a row for every minute took 25 KB per SLO and day, an hour in one takes a fifth.
-- Counts that are still in `minute` were rolled up by an older lookout; they are moved over a part at a time and read from
-- both tables until then.
create table hour (
    slo    integer not null references slo (id),
    hour   integer not null, -- numbered from the epoch
    counts blob    not null, -- which of the sixty minutes are known (eight bytes, the lowest bit first), then their good and bad (LEB128)
    primary key (slo, hour)
) without rowid;
