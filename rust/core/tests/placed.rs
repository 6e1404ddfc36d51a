//! Rows counted on their blocks alone, against rows counted block by block with the state.

use proptest::prelude::*;

use tidegauge_core::codec::Writer;
use tidegauge_core::column::{ColumnPlan, ColumnState, Frozen, Kind, Placed};
use tidegauge_core::kernels::key;
use tidegauge_core::states::categories::{self, Dictionary};
use tidegauge_core::states::grid::{Domain, Frame, Grid};
use tidegauge_core::value::{Bytes, Logical, Slice};

fn plan(logical: Logical, source: Logical, kind: Kind, frozen: Frozen) -> ColumnPlan {
    ColumnPlan {
        name: "x".into(),
        logical,
        source,
        kind,
        frozen,
        compact: false,
        exact: false,
        blocked: true,
        weighed: false,
    }
}

fn grid(domain: Domain, edges: Vec<u64>) -> Frozen {
    Frozen::Grid(Frame::new(Grid {
        domain,
        nested: (0..edges.len() as u32).step_by(2).collect(),
        edges,
        atoms: Vec::new(),
        center: 0.3,
        coarse: Vec::new(),
        bound: 1024,
    }))
}

fn bytes(state: &ColumnState) -> Vec<u8> {
    let mut w = Writer::new();
    state.encode(&mut w);
    w.into_bytes()
}

proptest! {
    /// Against rows that are counted block by block.
    #[test]
    fn blocks_counted_alone_equal_blocks_counted_with_the_state(
        runs in prop::collection::vec((-2..3i64, prop::collection::vec(0..9u64, 6)), 1..7),
    ) {
        let floats = [1.5, f64::NAN, -0.0, f64::INFINITY, -1e300, f64::NEG_INFINITY];
        let signed = [i64::MIN, -7, 0, 3, 1 << 40, i64::MAX];
        let unsigned = [0, 1, 7, 1 << 33, u64::MAX - 1, u64::MAX];
        let text = Bytes { offsets: &[0, 1, 1, 3, 4, 6, 7], data: b"abcddda" };
        let float_edges = [-3.0, -0.5, 0.0, 1.0, 2.5].map(key::of_f64).to_vec();
        let mut hashes: Vec<u64> = [&b"a"[..], b"bc", b"zz"].map(categories::hash).to_vec();
        hashes.sort_unstable();
        let dictionary = |complete| Frozen::Dictionary(Dictionary::new(hashes.clone(), complete));
        let edges = vec![5, 1 << 20, 1 << 63, (1 << 63) + 4, u64::MAX - 3];
        let cases = [
            (plan(Logical::Float, Logical::Float, Kind::Numeric, grid(Domain::F64, float_edges)), Slice::F64(&floats)),
            (plan(Logical::Int, Logical::Int, Kind::Numeric, grid(Domain::Signed, edges.clone())), Slice::I64(&signed)),
            (plan(Logical::UInt, Logical::UInt, Kind::Numeric, grid(Domain::Unsigned, edges)), Slice::U64(&unsigned)),
            (plan(Logical::String, Logical::String, Kind::Categorical, dictionary(true)), Slice::Bytes(text)),
            (plan(Logical::String, Logical::String, Kind::Categorical, Frozen::Dictionary(Dictionary::new(Vec::new(), true))), Slice::Bytes(text)),
        ];
        for (plan, values) in cases {
            let placed = Placed::new(&plan, values).unwrap().unwrap();
            let (mut apart, mut together) = (plan.empty(), plan.empty());
            let mut held = vec![0; values.len()];
            for (block, counts) in &runs {
                apart.add_to_block(*block, &placed, counts);
                held.iter_mut().zip(counts).for_each(|(h, n)| *h += n);
                together.in_block(*block, |s| s.update_counted(&plan, values, counts)).unwrap();
            }
            apart.update_counted(&plan, values, &held).unwrap();
            prop_assert_eq!(bytes(&apart), bytes(&together));
        }
    }
}

#[test]
fn what_reaches_the_states_in_part_is_not_placed() {
    let edges = grid(Domain::Signed, vec![1 << 63]);
    let decimal = Logical::Decimal { scale: 0 };
    let wide = plan(decimal, decimal, Kind::Numeric, edges);
    let values = [1, i128::MAX];
    assert!(Placed::new(&wide, Slice::I128(&values)).unwrap().is_none());
    let unblocked = ColumnPlan {
        blocked: false,
        ..wide.clone()
    };
    assert!(
        Placed::new(&unblocked, Slice::I128(&values[..1]))
            .unwrap()
            .is_none()
    );
    let whole = ColumnPlan {
        logical: Logical::Int,
        source: Logical::Float,
        ..wide
    };
    assert!(Placed::new(&whole, Slice::F64(&[0.5])).is_err());
}
