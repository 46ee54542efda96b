//! x
#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    Footprint,
}
pub(crate) fn run(_: &What) -> anyhow::Result<()> {
    Ok(())
}
