//! The registry of generations: whose structures a recognised library takes.

use mpp_abi::{Dialect, Generation};

use crate::shapes::Shapes;
use crate::shapes_g1::G1;
use crate::shapes_g2::G2;
use crate::shapes_g3::G3;

/// The structures of a recognised library.
pub(crate) fn shapes_of(dialect: Dialect) -> Box<dyn Shapes> {
    match dialect.generation() {
        Generation::G1 => Box::new(G1::new(dialect)),
        Generation::G2 => Box::new(G2::new(dialect)),
        Generation::G3 => Box::new(G3::new(dialect)),
    }
}
