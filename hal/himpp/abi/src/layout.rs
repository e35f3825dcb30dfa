//! One description from which a structure, its checks and its table come.
//!
//! A line of a description is `offset name: type = "vendor's name"`. Offset and size are what the headers say; the build
//! fails if the compiler places a field elsewhere. A field that is an unnamed union in C lists the union's members:
//! `= "stAttrH264e" as VencAttrH264 | "stAttrJpeg" as VencAttrJpeg`.
//!
//! Does not belong here: any structure of the vendor's.

use crate::addr::Addr32;

/// A structure as the vendor's library sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The vendor's structure tag, `hiVENC_STREAM_S`.
    pub vendor: &'static str,
    /// Bytes, padding at the end included.
    pub size: usize,
    /// In order of offset; members of an unnamed union have the same offset.
    pub members: &'static [Member],
}

impl Layout {
    /// The name that prototypes use: the tag without its prefix, `VENC_STREAM_S`.
    #[must_use]
    pub fn typedef(&self) -> &'static str {
        ["hi", "HI_", "tag"].iter().find_map(|prefix| self.vendor.strip_prefix(prefix)).unwrap_or(self.vendor)
    }

    /// Where a member lies, in bytes; `stRcAttr.pRcAttr` looks into a structure within.
    #[must_use]
    pub fn offset_of(&self, path: &str) -> Option<usize> {
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let member = self.members.iter().find(|member| member.name == name)?;
        match rest {
            Some(rest) => Some(member.offset + member.inner?.offset_of(rest)?),
            None => Some(member.offset),
        }
    }
}

/// One member of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The vendor's name, `pstPack`.
    pub name: &'static str,
    /// Bytes from the structure's start.
    pub offset: usize,
    /// Bytes; of all elements if it is an array.
    pub size: usize,
    /// What it is made of, if it is a structure that is described here.
    pub inner: Option<&'static Layout>,
}

/// What a member of a structure can be.
pub trait Field: Copy {
    /// All bytes zero.
    const ZERO: Self;
    /// What it is made of, if it is a structure.
    const INNER: Option<&'static Layout> = None;
}

macro_rules! plain {
    ($($type:ty = $zero:expr),*) => { $(impl Field for $type { const ZERO: Self = $zero; })* };
}

plain!(u8 = 0, u16 = 0, i16 = 0, u32 = 0, i32 = 0, u64 = 0, Addr32 = Addr32::NULL);

impl<T: Field, const N: usize> Field for [T; N] {
    const ZERO: Self = [T::ZERO; N];
}

/// The table's size of a member: of the type after `as` if there is one.
macro_rules! member_type {
    ($type:ty) => {
        $type
    };
    ($type:ty as $shown:ty) => {
        $shown
    };
}

/// A structure, its checks and its [`Layout`].
macro_rules! layout {
    (
        $(#[$meta:meta])*
        pub struct $name:ident = $vendor:literal, $size:literal {
            $(
                $(#[$about:meta])*
                $offset:literal $field:ident: $type:ty
                    = $member:literal $(as $shown:ty)? $(| $other:literal as $other_type:ty)*,
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        pub struct $name {
            $($(#[$about])* pub $field: $type,)*
        }

        impl $name {
            /// What the vendor calls it, its size and its members.
            pub const LAYOUT: $crate::layout::Layout = $crate::layout::Layout {
                vendor: $vendor,
                size: ::core::mem::size_of::<Self>(),
                members: &[$(
                    $crate::layout::Member {
                        name: $member,
                        offset: ::core::mem::offset_of!(Self, $field),
                        size: ::core::mem::size_of::<$crate::layout::member_type!($type $(as $shown)?)>(),
                        inner: <$crate::layout::member_type!($type $(as $shown)?) as $crate::layout::Field>::INNER,
                    },
                    $($crate::layout::Member {
                        name: $other,
                        offset: ::core::mem::offset_of!(Self, $field),
                        size: ::core::mem::size_of::<$other_type>(),
                        inner: <$other_type as $crate::layout::Field>::INNER,
                    },)*
                )*],
            };
        }

        impl $crate::layout::Field for $name {
            const ZERO: Self = Self { $($field: <$type as $crate::layout::Field>::ZERO,)* };
            const INNER: Option<&'static $crate::layout::Layout> = Some(&Self::LAYOUT);
        }

        impl Default for $name {
            /// All bytes zero.
            fn default() -> Self {
                <Self as $crate::layout::Field>::ZERO
            }
        }

        const _: () = {
            assert!(::core::mem::size_of::<$name>() == $size, concat!("size of ", $vendor));
            $(
                assert!(
                    ::core::mem::offset_of!($name, $field) == $offset,
                    concat!("offset of ", $vendor, ".", $member)
                );
                $(assert!(::core::mem::size_of::<$shown>() <= ::core::mem::size_of::<$type>());)?
                $(assert!(::core::mem::size_of::<$other_type>() <= ::core::mem::size_of::<$type>());)*
            )*
        };
    };
}

pub(crate) use {layout, member_type};

#[cfg(test)]
mod tests {
    use crate::common::{MppChn, VbConf};
    use crate::g3::VencChnAttr;

    #[test]
    fn a_path_leads_into_a_structure_within() {
        assert_eq!(VencChnAttr::LAYOUT.offset_of("stRcAttr.pRcAttr"), Some(68));
        assert_eq!(VencChnAttr::LAYOUT.offset_of("stRcAttr.nothing"), None);
        assert_eq!(VencChnAttr::LAYOUT.offset_of("stRcAttr.pRcAttr.deeper"), None);
    }

    #[test]
    fn the_typedef_is_the_tag_without_its_prefix() {
        assert_eq!(MppChn::LAYOUT.typedef(), "MPP_CHN_S");
        assert_eq!(crate::g1::VpssGrpAttr::LAYOUT.typedef(), "VPSS_GRP_ATTR_S");
    }

    #[test]
    fn nothing_is_set_that_nobody_set() {
        let conf = VbConf::default();
        assert_eq!(conf.max_pools, 0);
        assert!(conf.pools.iter().all(|pool| pool.block_size == 0 && pool.name == [0; 16]));
    }
}
