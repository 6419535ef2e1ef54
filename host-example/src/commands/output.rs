//! The option of every command whose answer a program may read.

use clap::Args;

#[derive(Args)]
pub struct Output {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
