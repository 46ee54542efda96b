//! The promises of the engine.

#[cfg(test)]
mod assessment;
#[cfg(test)]
mod closed_form;
#[cfg(test)]
mod composite;
#[cfg(test)]
mod conditions;
#[cfg(test)]
mod footprint;
#[cfg(test)]
mod incidents;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod outcomes;
#[cfg(test)]
mod periods;
#[cfg(test)]
mod promise;
#[cfg(test)]
mod slices;
#[cfg(test)]
mod windows;
