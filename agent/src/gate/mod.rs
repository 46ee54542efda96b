//! Policy over evidence: may this be deployed now?
