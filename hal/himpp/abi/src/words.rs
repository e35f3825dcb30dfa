//! Unions without unsafe code: arrays of 32-bit words.
//!
//! Variants are written into the words and read from them. All variants that we use consist of 4-byte members alone, so a variant is its words in order.

use crate::addr::Addr32;

/// What consists of 4-byte members alone.
pub trait Words: Sized {
    /// How many 32-bit words it takes.
    const COUNT: usize;

    /// Writes it to the first [`COUNT`](Self::COUNT) words.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    fn put(&self, words: &mut [u32]);

    /// Reads it from the first [`COUNT`](Self::COUNT) words.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    fn take(words: &[u32]) -> Self;
}

impl Words for u32 {
    const COUNT: usize = 1;
    fn put(&self, words: &mut [u32]) {
        words[0] = *self;
    }
    fn take(words: &[u32]) -> Self {
        words[0]
    }
}

impl Words for i32 {
    const COUNT: usize = 1;
    fn put(&self, words: &mut [u32]) {
        words[0] = self.cast_unsigned();
    }
    fn take(words: &[u32]) -> Self {
        words[0].cast_signed()
    }
}

impl Words for Addr32 {
    const COUNT: usize = 1;
    fn put(&self, words: &mut [u32]) {
        words[0] = self.0;
    }
    fn take(words: &[u32]) -> Self {
        Self(words[0])
    }
}

impl<const N: usize> Words for [u32; N] {
    const COUNT: usize = N;
    fn put(&self, words: &mut [u32]) {
        words[..N].copy_from_slice(self);
    }
    fn take(words: &[u32]) -> Self {
        core::array::from_fn(|i| words[i])
    }
}

/// A variant of the union within `Holder`.
pub trait Variant<Holder>: Words {}

/// Words for structures that `layout!` described; each field is named once more, in order.
macro_rules! words {
    ($($name:ident { $($field:ident: $type:ty),* $(,)? })*) => { $(
        impl $crate::words::Words for $name {
            const COUNT: usize = 0 $(+ <$type as $crate::words::Words>::COUNT)*;
            fn put(&self, words: &mut [u32]) {
                let mut at = 0;
                $(
                    $crate::words::Words::put(&self.$field, &mut words[at..]);
                    at += <$type as $crate::words::Words>::COUNT;
                )*
                debug_assert_eq!(at, Self::COUNT);
            }
            fn take(words: &[u32]) -> Self {
                let mut at = 0;
                let whole = Self { $($field: {
                    let field = <$type as $crate::words::Words>::take(&words[at..]);
                    at += <$type as $crate::words::Words>::COUNT;
                    field
                }),* };
                debug_assert_eq!(at, Self::COUNT);
                whole
            }
        }
        const _: () = assert!(
            <$name as $crate::words::Words>::COUNT * 4 == ::core::mem::size_of::<$name>(),
            concat!("words of ", stringify!($name))
        );
    )* };
}

/// A structure whose union is the words in `$union`, told apart by `$tag`.
macro_rules! union {
    ($name:ident { $tag:ident, $union:ident: $count:literal } holds $($variant:ty),* $(,)?) => {
        $(
            impl $crate::words::Variant<$name> for $variant {}
            const _: () = assert!(<$variant as $crate::words::Words>::COUNT <= $count);
        )*

        impl $name {
            /// With that variant in its union; `$tag` says which, everything else is zero.
            #[must_use]
            pub fn of($tag: i32, variant: &impl $crate::words::Variant<Self>) -> Self {
                let mut whole = Self { $tag, ..Self::default() };
                whole.set(variant);
                whole
            }

            /// Writes a variant into the union; what tells variants apart stays.
            pub fn set(&mut self, variant: &impl $crate::words::Variant<Self>) {
                self.$union = [0; $count];
                $crate::words::Words::put(variant, &mut self.$union);
            }

            /// The union read as that variant; the caller has looked at what tells variants apart.
            #[must_use]
            pub fn get<V: $crate::words::Variant<Self>>(&self) -> V {
                $crate::words::Words::take(&self.$union)
            }
        }
    };
}

pub(crate) use {union, words};

#[cfg(test)]
mod tests {
    use crate::common::{Point, Rect};
    use crate::g1::{OverlayChnAttr, RgnChnAttr};

    #[test]
    fn a_variant_comes_back_as_it_went_in() {
        let overlay = OverlayChnAttr {
            point: Point { x: -8, y: 16 },
            foreground_alpha: 128,
            layer: 3,
            ..OverlayChnAttr::default()
        };
        let mut attr = RgnChnAttr::of(0, &overlay);
        attr.show = 1;
        let back: OverlayChnAttr = attr.get();
        assert_eq!((back.point.x, back.point.y), (-8, 16));
        assert_eq!((back.foreground_alpha, back.background_alpha, back.layer), (128, 0, 3));
        assert_eq!(attr.attr[0], 0xffff_fff8);
    }

    #[test]
    fn words_lie_where_the_compiler_puts_fields() {
        let mut words = [0; 4];
        crate::Words::put(&Rect { x: 1, y: 2, width: 3, height: 4 }, &mut words);
        assert_eq!(words, [1, 2, 3, 4]);
    }
}
