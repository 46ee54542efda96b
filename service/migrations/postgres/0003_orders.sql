-- Where a passenger stands in the orders by age and fare, and why by nothing else: see the migration for SQLite.
alter table passengers
    add column age_up double precision generated always as (coalesce(age, 1e9)) stored,
    add column age_down double precision generated always as (coalesce(age, -1.0)) stored,
    add column fare_up double precision generated always as (coalesce(fare, 1e9)) stored,
    add column fare_down double precision generated always as (coalesce(fare, -1.0)) stored;

create index passengers_by_age_up on passengers (age_up, id);
create index passengers_by_age_down on passengers (age_down, id);
create index passengers_by_fare_up on passengers (fare_up, id);
create index passengers_by_fare_down on passengers (fare_down, id);
