//! The table that the example prints and the test reads.
//!
//! Does not belong here: any number. They come from the compiler, by way of `mpp_abi::Layout`.

use mpp_abi::{Dialect, Generation, Layout, Member, structures};
use serde_json::{Map, Value, json};

/// Sizes and offsets, on 32-bit ARM, of what the vendor's library takes.
#[derive(clap::Parser)]
pub(crate) struct Arguments {
    /// g1, g2 or g3.
    pub(crate) generation: Generation,
}

/// An object: structures by their tag. What grew within G3 is there once more, with the version from which on.
pub(crate) fn table(generation: Generation) -> Value {
    let (first, grown) = match generation {
        Generation::G1 => (Dialect::G1, None),
        Generation::G2 => (Dialect::G2, None),
        Generation::G3 => (Dialect::G3Early, Some(Dialect::G3Late)),
    };
    let mut table: Map<String, Value> =
        structures(first).map(|layout| (layout.vendor.to_owned(), structure(layout))).collect();
    if let Some(late) = grown {
        for layout in structures(late).filter(|layout| structures(first).all(|other| other != *layout)) {
            table.insert(format!("{} ({})", layout.vendor, late.version()), structure(layout));
        }
    }
    Value::Object(table)
}

fn structure(layout: &Layout) -> Value {
    let members: Vec<Value> = layout.members.iter().map(member).collect();
    json!({ "typedef": layout.typedef(), "size": layout.size, "members": members })
}

fn member(member: &Member) -> Value {
    let mut value = json!({ "name": member.name, "offset": member.offset, "size": member.size });
    if let Some(inner) = member.inner {
        value["struct"] = inner.vendor.into();
    }
    value
}
