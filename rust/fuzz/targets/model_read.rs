//! Bytes as a model of LightGBM (text), XGBoost (JSON, UBJSON) or CatBoost (JSON).
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegauge_fuzz::model_read;

fuzz_target!(|bytes: &[u8]| model_read(bytes));
