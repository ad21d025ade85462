//! Which types can be decoded without danger.
//!
//! A decoder follows the description of a type. A description from a node could nest without end, or promise millions of items that take
//! no bytes. Both are seen in the description alone, before any bytes.

use scale_info::{PortableRegistry, TypeDef, TypeDefPrimitive};

/// Levels of nesting that are decoded. The real runtime's answers and events have fewer than 20.
const MAX_DEPTH: u16 = 64;

/// Values without bytes that may be visited beyond one for each byte: nested arrays of nothing would be visited for hours.
const MAX_EMPTY: u64 = 256;

#[derive(Debug, Clone, Copy)]
enum Visit {
    New,
    Open,
    Done(Shape),
}

/// What a type costs to decode.
#[derive(Debug, Clone, Copy)]
struct Shape {
    /// Levels below it; `u16::MAX` when it contains itself or something senseless.
    depth: u16,
    /// Fewest bytes of a value.
    bytes: u64,
    /// Values without bytes that are visited for one value, those of list items left out: each of those has bytes of its own.
    empty: u64,
}

impl Shape {
    const UNSAFE: Self = Self { depth: u16::MAX, bytes: 0, empty: 0 };
}

/// The shapes of all types of a runtime.
#[derive(Debug)]
pub struct Shapes(Vec<Shape>);

impl Shapes {
    /// Walks through all types once.
    pub fn new(types: &PortableRegistry) -> Self {
        let mut visits = vec![Visit::New; types.types.len()];
        for root in 0..visits.len() {
            // A stack of our own: the chain of types may be longer than the thread's stack.
            let mut stack = vec![root];
            while let Some(&id) = stack.last() {
                match visits.get(id) {
                    Some(Visit::New) => {
                        visits[id] = Visit::Open;
                        stack.extend(children(types, id).filter(|child| matches!(visits.get(*child), Some(Visit::New))));
                    }
                    Some(Visit::Open) => {
                        visits[id] = Visit::Done(shape(types, id, &visits));
                        stack.pop();
                    }
                    _ => {
                        stack.pop();
                    }
                }
            }
        }
        Self(visits.into_iter().map(|visit| if let Visit::Done(shape) = visit { shape } else { Shape::UNSAFE }).collect())
    }

    /// Whether values of a type can be decoded: its nesting is bounded, and every item of its lists takes bytes.
    pub fn is_safe(&self, ty: u32) -> bool {
        self.0.get(ty as usize).is_some_and(|shape| shape.depth <= MAX_DEPTH)
    }
}

fn children(types: &PortableRegistry, id: usize) -> impl Iterator<Item = usize> {
    let ids: Vec<u32> = match types.types.get(id).map(|ty| &ty.ty.type_def) {
        Some(TypeDef::Composite(composite)) => composite.fields.iter().map(|field| field.ty.id).collect(),
        Some(TypeDef::Variant(variant)) => variant.variants.iter().flat_map(|variant| &variant.fields).map(|field| field.ty.id).collect(),
        Some(TypeDef::Sequence(sequence)) => vec![sequence.type_param.id],
        Some(TypeDef::Array(array)) => vec![array.type_param.id],
        Some(TypeDef::Tuple(tuple)) => tuple.fields.iter().map(|field| field.id).collect(),
        Some(TypeDef::Compact(compact)) => vec![compact.type_param.id],
        Some(TypeDef::Primitive(_) | TypeDef::BitSequence(_)) | None => Vec::new(),
    };
    ids.into_iter().map(|id| id as usize)
}

/// The shape of a type whose children were looked at. A child that still is open contains this type: a circle.
fn shape(types: &PortableRegistry, id: usize, visits: &[Visit]) -> Shape {
    let of = |child: usize| if let Some(Visit::Done(shape)) = visits.get(child) { *shape } else { Shape::UNSAFE };
    let Some(ty) = types.types.get(id) else { return Shape::UNSAFE };
    let (mut depth, mut sum, mut empty) = (0u16, 0u64, 0u64);
    for child in children(types, id) {
        let child = of(child);
        depth = depth.max(child.depth.saturating_add(1));
        sum = sum.saturating_add(child.bytes);
        empty = empty.saturating_add(child.empty);
    }
    let bytes = match &ty.ty.type_def {
        TypeDef::Composite(_) | TypeDef::Tuple(_) => sum,
        TypeDef::Variant(_) | TypeDef::Compact(_) | TypeDef::BitSequence(_) => 1,
        TypeDef::Sequence(_) if sum == 0 => return Shape::UNSAFE,
        TypeDef::Sequence(_) => 1,
        TypeDef::Array(array) if sum == 0 && array.len > 64 => return Shape::UNSAFE,
        TypeDef::Array(array) => sum.saturating_mul(u64::from(array.len)),
        TypeDef::Primitive(primitive) => match primitive {
            TypeDefPrimitive::Bool | TypeDefPrimitive::U8 | TypeDefPrimitive::I8 | TypeDefPrimitive::Str => 1,
            TypeDefPrimitive::U16 | TypeDefPrimitive::I16 => 2,
            TypeDefPrimitive::U32 | TypeDefPrimitive::I32 | TypeDefPrimitive::Char => 4,
            TypeDefPrimitive::U64 | TypeDefPrimitive::I64 => 8,
            TypeDefPrimitive::U128 | TypeDefPrimitive::I128 => 16,
            TypeDefPrimitive::U256 | TypeDefPrimitive::I256 => 32,
        },
    };
    let empty = match &ty.ty.type_def {
        // One of the variants is there.
        TypeDef::Variant(variant) => {
            let variants = variant.variants.iter();
            variants
                .map(|variant| variant.fields.iter().fold(0u64, |sum, field| sum.saturating_add(of(field.ty.id as usize).empty)))
                .max()
                .unwrap_or(0)
        }
        TypeDef::Sequence(_) => 0,
        TypeDef::Array(array) => empty.saturating_mul(u64::from(array.len)).saturating_add(u64::from(bytes == 0)),
        _ => empty.saturating_add(u64::from(bytes == 0)),
    };
    if empty > bytes.saturating_add(MAX_EMPTY) { Shape::UNSAFE } else { Shape { depth, bytes, empty } }
}

#[cfg(test)]
mod tests {
    use scale_info::{MetaType, Registry, TypeInfo};

    use super::*;

    fn is_safe<T: TypeInfo + 'static>() -> bool {
        let mut registry = Registry::new();
        let id = registry.register_type(&MetaType::new::<T>()).id;
        let types: PortableRegistry = registry.into();
        Shapes::new(&types).is_safe(id)
    }

    #[derive(TypeInfo)]
    #[allow(dead_code, reason = "only described")]
    struct Nested {
        below: Vec<Nested>,
    }

    #[derive(TypeInfo)]
    #[allow(dead_code, reason = "only described")]
    struct Around {
        number: u8,
        nested: Option<Nested>,
    }

    #[derive(TypeInfo)]
    struct Nothing;

    #[test]
    fn what_nests_without_end_is_not_safe_nor_what_holds_it() {
        assert!(!is_safe::<Nested>());
        assert!(!is_safe::<Around>());
        assert!(is_safe::<Vec<Vec<Option<(u8, [u16; 4])>>>>());
    }

    #[test]
    fn many_items_of_no_bytes_are_not_safe() {
        assert!(!is_safe::<Vec<Nothing>>());
        assert!(!is_safe::<Vec<[Nothing; 9]>>());
        assert!(!is_safe::<Vec<(Nothing, ())>>());
        assert!(!is_safe::<[Nothing; 4096]>());
        assert!(is_safe::<Option<Nothing>>() && is_safe::<Nothing>() && is_safe::<Vec<Option<Nothing>>>());
    }

    #[test]
    fn a_few_types_cannot_promise_very_many_items_of_no_bytes() {
        assert!(is_safe::<[Nothing; 64]>());
        assert!(!is_safe::<[[Nothing; 64]; 64]>());
        assert!(!is_safe::<(u8, [[[[[[Nothing; 64]; 64]; 64]; 64]; 64]; 64])>());
        assert!(!is_safe::<Option<[[Nothing; 32]; 32]>>());
        // With bytes of their own they are paid for.
        assert!(is_safe::<[(u8, Nothing); 4096]>());
    }

    #[test]
    fn a_long_chain_of_types_is_not_safe_and_does_not_fill_the_stack() {
        // 100,000 structs, each holding the next.
        let mut types = PortableRegistry { types: Vec::new() };
        for id in 0..100_000u32 {
            let field = scale_info::Field { name: None, ty: (id + 1).into(), type_name: None, docs: Vec::new() };
            let def = TypeDef::Composite(scale_info::TypeDefComposite { fields: vec![field] });
            let ty = scale_info::Type {
                path: scale_info::Path { segments: Vec::new() },
                type_params: Vec::new(),
                type_def: def,
                docs: Vec::new(),
            };
            types.types.push(scale_info::PortableType { id, ty });
        }
        let last = scale_info::Type {
            path: scale_info::Path { segments: Vec::new() },
            type_params: Vec::new(),
            type_def: TypeDef::Primitive(TypeDefPrimitive::U8),
            docs: Vec::new(),
        };
        types.types.push(scale_info::PortableType { id: 100_000, ty: last });
        let shapes = Shapes::new(&types);
        assert!(!shapes.is_safe(0) && !shapes.is_safe(99_900) && shapes.is_safe(99_950) && shapes.is_safe(100_000));
        assert!(!shapes.is_safe(100_001), "a type that is not there");
    }
}
