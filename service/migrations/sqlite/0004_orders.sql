-- Where a passenger stands in the orders by age and fare. Those without a value come last in either direction: they stand
-- above everyone in the way up and below everyone in the way down. So a page begins at one place of an index, also among
-- equals and amid those without a value, and ends after its last row.
--
-- There is no index by class, sex or whether they were saved: a walk in any order meets one of them every few rows, while a
-- database that was offered such an index would read and sort all of a class for each page.
alter table passengers add column age_up real generated always as (coalesce(age, 1e9)) virtual;
alter table passengers add column age_down real generated always as (coalesce(age, -1.0)) virtual;
alter table passengers add column fare_up real generated always as (coalesce(fare, 1e9)) virtual;
alter table passengers add column fare_down real generated always as (coalesce(fare, -1.0)) virtual;

create index passengers_by_age_up on passengers (age_up, id);
create index passengers_by_age_down on passengers (age_down, id);
create index passengers_by_fare_up on passengers (fare_up, id);
create index passengers_by_fare_down on passengers (fare_down, id);
