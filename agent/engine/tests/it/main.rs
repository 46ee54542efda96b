//! The promises of the engine.

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
mod periods;
#[cfg(test)]
mod slices;
#[cfg(test)]
mod windows;
