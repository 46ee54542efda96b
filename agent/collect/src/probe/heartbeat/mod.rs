//! Heartbeats: calls of jobs, judged by their age.
//!
//! The time before the first call says nothing: the job may be about to run. After a restart, calls may have been missed
//! while no agent listened. In both cases a slot is missed until a call is overdue by the time of this agent alone.

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use lookout_config::HeartbeatCheck;
use lookout_model::print_duration;

use super::Reason;
use super::attempt::{Attempt, Failure};
use super::protocol::{Context, Protocol};

#[async_trait]
impl Protocol for HeartbeatCheck {
    async fn run(&self, context: &Context<'_>, _: &mut Attempt) -> Result<(), Failure> {
        let Some(heartbeats) = context.heartbeats else {
            let detail = "calls are known to the running agent only: see its pages";
            return Err(Failure::new(Reason::Awaited, detail));
        };
        let age = heartbeats.age(&context.target.name);
        let allowed = self.every + self.grace;
        let every = print_duration(self.every);
        match age.call {
            Some(call) if call <= allowed => Ok(()),
            _ if age.watched <= allowed => {
                Err(Failure::new(Reason::Awaited, format!("no call yet, expected every {every}")))
            }
            Some(call) => {
                let ago = lookout_model::format::duration(call.as_secs_f64());
                Err(Failure::new(
                    Reason::Heartbeat,
                    format!("the last call was {ago} ago, expected every {every}"),
                ))
            }
            None => Err(Failure::new(Reason::Heartbeat, format!("no call ever, expected every {every}"))),
        }
    }
}
