-- News about an incident that goes on, like an acknowledgement, are rows beside its changes: they have deliveries too.
alter table transition add column news text; -- none: a change of the incident itself
