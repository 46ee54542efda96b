-- The state of each SLO's evaluator that counts and incidents do not tell: which alerts fire and since when, and the time
-- that was observed. It is stored with the counts it belongs to.
create table evaluator_state (
    slo_id text primary key,
    state  text not null
);
