//! The promises of the engine.

#[cfg(test)]
mod closed_form;
mod composite;
#[cfg(test)]
mod conditions;
#[cfg(test)]
mod footprint;
#[cfg(test)]
mod incidents;
#[cfg(test)]
mod slices;
#[cfg(test)]
mod windows;
