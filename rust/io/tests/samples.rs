//! Exact statistics of two arrays: the walk over sorted values answers as the exact states do.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int64Array,
    RecordBatch, TimestampMicrosecondArray, UInt64Array,
};
use arrow_schema::{Field, Schema};
use proptest::prelude::*;
use tidegauge_core::compare::{pair_of, pair_of_samples};
use tidegauge_core::pair::Pair;
use tidegauge_core::statistics::{Context, Reads, Statistic, parity, registry};
use tidegauge_io::arrow::ArrowSource;
use tidegauge_io::scan::{ScanOptions, profile, samples};

fn source(array: ArrayRef, batch_rows: usize) -> ArrowSource {
    let field = Field::new("x", array.data_type().clone(), true);
    let schema = Arc::new(Schema::new(vec![field]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![array]).unwrap();
    let source = ArrowSource::new(&schema, vec![batch]).unwrap();
    source.with_batch_rows(batch_rows)
}

/// The slow, obvious twin: exact states on the grid of the first.
fn twin(x: &ArrowSource, y: &ArrowSource) -> Pair {
    let options = ScanOptions {
        exact: true,
        threads: 1,
        ..ScanOptions::default()
    };
    let reference = profile(x, &options, None, &|_, _| true).unwrap();
    let current = profile(y, &options, Some(&reference), &|_, _| true).unwrap();
    let only = |groups: &tidegauge_core::profile::Profile| {
        groups.groups.values().next().unwrap()[0].clone()
    };
    pair_of(&reference.columns[0], &only(&reference), &only(&current)).unwrap()
}

fn all() -> impl Iterator<Item = &'static Statistic> {
    registry().iter().chain(parity()).copied()
}

fn assert_twins(x: &ArrayRef, y: &ArrayRef, batch_rows: usize) {
    let (a, b) = (
        source(Arc::clone(x), batch_rows),
        source(Arc::clone(y), batch_rows),
    );
    let slow = twin(&a, &b);
    for statistic in all().filter(|s| s.reads() != Reads::CoarseCells) {
        let (logical, r, c) = samples(&a, &b, &|| true).unwrap().unwrap();
        let fast = pair_of_samples(logical, r, c, statistic.reads());
        let of = |pair: &Pair| format!("{:?}", statistic.evaluate(pair, &Context::default()));
        assert_eq!(of(&fast), of(&slow), "{}", statistic.name);
    }
}

/// Few values and many, on and off the grid of single precision, with those that are not finite.
fn floats() -> impl Strategy<Value = Vec<Option<f64>>> {
    let value = prop_oneof![
        4 => (0..12_i32).prop_map(f64::from),
        4 => -3.0..3.0_f64,
        2 => (-3.0..3.0_f64).prop_map(|x| f64::from(x as f32)),
        1 => prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(f64::NAN), Just(-0.0)],
        1 => prop_oneof![Just(1e300), Just(-1e300), Just(5e-324), Just(f64::MAX), Just(f64::MIN)],
    ];
    prop::collection::vec(prop::option::weighted(0.9, value), 0..60)
}

fn integers() -> impl Strategy<Value = Vec<Option<i64>>> {
    let value = prop_oneof![-5..5_i64, any::<i64>(), Just(i64::MAX), Just((1 << 53) + 1)];
    prop::collection::vec(prop::option::weighted(0.9, value), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 200 } else { 400 }))]

    #[test]
    fn floats_have_one_answer(x in floats(), y in floats(), rows in 1..70_usize) {
        let of = |v: &[Option<f64>]| Arc::new(Float64Array::from(v.to_vec())) as ArrayRef;
        assert_twins(&of(&x), &of(&y), rows);
    }

    #[test]
    fn single_precision_has_one_answer(x in floats(), y in floats(), rows in 1..5_usize) {
        let narrow = |v: &[Option<f64>]| {
            Arc::new(Float32Array::from_iter(v.iter().map(|x| x.map(|x| x as f32)))) as ArrayRef
        };
        let wide = Arc::new(Float64Array::from(x.clone())) as ArrayRef;
        assert_twins(&wide, &narrow(&y), rows);
        assert_twins(&narrow(&x), &narrow(&y), rows);
    }

    #[test]
    fn integers_and_times_have_one_answer(x in integers(), y in integers(), rows in 1..5_usize) {
        let signed = |v: &[Option<i64>]| Arc::new(Int64Array::from(v.to_vec())) as ArrayRef;
        assert_twins(&signed(&x), &signed(&y), rows);
        let unsigned = |v: &[Option<i64>]| {
            Arc::new(UInt64Array::from_iter(v.iter().map(|x| x.map(|x| x as u64)))) as ArrayRef
        };
        assert_twins(&unsigned(&x), &unsigned(&y), rows);
        let times = |v: &[Option<i64>]| Arc::new(TimestampMicrosecondArray::from(v.to_vec())) as ArrayRef;
        assert_twins(&times(&x), &times(&y), rows);
        let decimals = |v: &[Option<i64>]| {
            let wide = v.iter().map(|x| x.map(|x| i128::from(x) * 3));
            Arc::new(Decimal128Array::from_iter(wide).with_precision_and_scale(38, 2).unwrap()) as ArrayRef
        };
        assert_twins(&decimals(&x), &decimals(&y), rows);
    }
}

#[test]
fn dictionaries_have_one_answer() {
    let values = Arc::new(Float64Array::from(vec![
        Some(1.5),
        Some(f64::NAN),
        Some(0.1),
        None,
        Some(f64::INFINITY),
    ]));
    let of = |n: i32, by: i32| {
        let keys = (0..n).map(|i| (i % 7 != 6).then_some(i * by % 5)).collect();
        let array = DictionaryArray::<Int32Type>::try_new(keys, Arc::clone(&values) as ArrayRef);
        Arc::new(array.unwrap()) as ArrayRef
    };
    for rows in [1, 3, 8192] {
        assert_twins(&of(50, 3), &of(80, 2), rows);
    }
}

/// Enough values for thousands of cells, most of which are never sorted.
#[test]
fn large_samples_have_one_answer() {
    let mut state = 7_u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut draw = |n: usize, shift: f64, round: f64| -> ArrayRef {
        let normal =
            |u: f64, v: f64| (-2.0 * (u + 1e-300).ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        let mut values = Vec::with_capacity(n);
        for i in 0..n {
            let x = normal(uniform(), uniform()) + shift;
            values.push(match i {
                0 => 1e200,
                1 => f64::NEG_INFINITY,
                _ if round > 0.0 => (x / round).round() * round,
                _ => x,
            });
        }
        Arc::new(Float64Array::from(values))
    };
    for (shift, round) in [
        (0.0, 0.0),
        (0.01, 0.0),
        (0.3, 0.0),
        (0.0, 0.25),
        (0.001, 1e-4),
    ] {
        let (x, y) = (draw(30_000, 0.0, round), draw(70_000, shift, round));
        assert_twins(&x, &y, 8192);
    }
}

/// Tables of other shapes and types go through the states.
#[test]
fn other_tables_have_no_samples() {
    let of = |array: ArrayRef| source(array, 8192);
    let floats = || of(Arc::new(Float64Array::from(vec![1.0])));
    let integers = of(Arc::new(Int64Array::from(vec![1])));
    let texts = || of(Arc::new(arrow_array::StringArray::from(vec!["a"])));
    assert!(samples(&floats(), &integers, &|| true).unwrap().is_none());
    assert!(samples(&texts(), &texts(), &|| true).unwrap().is_none());
    assert!(samples(&floats(), &floats(), &|| false).is_err());
}
