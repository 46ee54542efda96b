-- Longer memory, and what was promised when.

-- Counts older than the minutes that are kept, rolled up to quarters of an hour, numbered from the epoch.
create table quarter_hour (
    slo          integer not null references slo (id),
    quarter_hour integer not null,
    good         integer not null,
    bad          integer not null,
    primary key (slo, quarter_hour)
) without rowid;

-- The first slot that was ever rolled up, to the second, which a minute or a quarter of an hour does not tell.
alter table slo add column first_s integer;

-- Objectives by the time from which on they were in force, in parts per billion of good events.
create table objective (
    slo_id   text    not null,
    from_ms  integer not null,
    good_ppb integer not null,
    primary key (slo_id, from_ms)
) without rowid;

-- Minutes are all that is known of what was rolled up before: the first one in `minute`, or the first bit of the first hour.
update slo set first_s = (
    with recursive bit (n) as (select 0 union all select n + 1 from bit where n < 59)
    select min(first_s) from (
        select min(minute.minute) * 60 as first_s from minute where minute.slo = slo.id
        union all
        select (oldest.hour * 60 + min(bit.n)) * 60
        from (select hour.hour, hex(substr(hour.counts, 1, 8)) as bits
              from hour where hour.slo = slo.id order by hour.hour limit 1) as oldest, bit
        where ((instr('0123456789ABCDEF', substr(oldest.bits, bit.n / 8 * 2 + 2 - bit.n % 8 / 4, 1)) - 1) >> (bit.n % 4)) & 1
    )
);
