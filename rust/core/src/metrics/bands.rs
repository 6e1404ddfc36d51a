//! Label and prediction summed in bands of the prediction.

use super::State;
use super::weight::{Amount, Mass, Weighting};
use crate::codec::{Reader, Writer};
use crate::states::exact_sum::Sum;
use crate::{Error, Result};

/// Sums of one band.
#[derive(Debug, Clone, PartialEq, Default)]
struct Band {
    rows: u64,
    mass: Mass,
    /// Sums of `w y` and `w f`.
    label: Sum,
    prediction: Sum,
    /// Sums of `(w y)^2`, `(w y)(w f)`, `(w f)^2`, each product rounded.
    products: [Sum; 3],
    /// Sums of `w (w y)` and `w (w f)`, where rows are weighted.
    cross: [Sum; 2],
}

/// Bands `[edge, next edge)`, the first open below and the last closed above.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bands {
    bands: Vec<Band>,
}

/// One band in floats.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BandSums {
    pub rows: u64,
    pub amount: Amount,
    /// `sum w y` and `sum w f`.
    pub label: f64,
    pub prediction: f64,
    /// `sum w^2 y^2`, `sum w^2 y f`, `sum w^2 f^2`.
    pub products: [f64; 3],
    /// `sum w^2 y` and `sum w^2 f`.
    pub cross: [f64; 2],
}

impl BandSums {
    /// `sum w^2 (y - a f - b)^2`.
    pub fn spread(&self, a: f64, b: f64) -> f64 {
        let [yy, yf, ff] = self.products;
        let [y, f] = self.cross;
        (yy - 2.0 * a * yf + a * a * ff - 2.0 * b * (y - a * f) + b * b * self.amount.w2).max(0.0)
    }
}

/// Edges of `n` bands of equal width over `[0, 1]`, without the outer ones.
pub fn equal_width(n: u32) -> Vec<f64> {
    (1..n).map(|i| f64::from(i) / f64::from(n)).collect()
}

/// A bin of the score and what was observed in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bin {
    /// Edges; the first and the last bin are open.
    pub low: Option<f64>,
    /// Upper edge, which belongs to the next bin.
    pub high: Option<f64>,
    /// Rows with score and label.
    pub rows: u64,
    /// Weighted mean of the score; NaN without rows.
    pub mean_score: f64,
    /// Weighted mean of the label.
    pub observed: f64,
}

/// The bins of a state, ascending; none where it has no bands.
pub fn reliability(state: &State) -> Vec<Bin> {
    let Some((edges, bands)) = state.bands() else {
        return Vec::new();
    };
    let bin = |(i, b): (usize, &BandSums)| Bin {
        low: i.checked_sub(1).and_then(|i| edges.get(i)).copied(),
        high: edges.get(i).copied(),
        rows: b.rows,
        mean_score: b.prediction / b.amount.w,
        observed: b.label / b.amount.w,
    };
    bands.iter().enumerate().map(bin).collect()
}

impl Bands {
    /// No rows, for that many inner edges.
    pub(super) fn empty(edges: usize) -> Self {
        Self {
            bands: vec![Band::default(); edges + 1],
        }
    }

    /// Adds a row: finite label and prediction, a relative weight.
    pub(super) fn add(
        &mut self,
        edges: &[f64],
        y: f64,
        f: f64,
        weighting: Weighting,
        w: f64,
    ) -> Result<()> {
        let at = edges.partition_point(|e| *e <= f);
        let Some(band) = self.bands.get_mut(at) else {
            return Err(Error::incompatible("bands of other edges"));
        };
        band.rows += 1;
        band.mass.add(weighting, w)?;
        let (wy, wf) = (w * y, w * f);
        band.label.add_f64(wy, 1);
        band.prediction.add_f64(wf, 1);
        for (sum, product) in band.products.iter_mut().zip([wy * wy, wy * wf, wf * wf]) {
            // Beyond 1e308 the interval is lost, the value is not.
            sum.add_f64(product.clamp(-f64::MAX, f64::MAX), 1);
        }
        if weighting.is_weighted() {
            band.cross[0].add_f64(w * wy, 1);
            band.cross[1].add_f64(w * wf, 1);
        }
        Ok(())
    }

    pub(super) fn merge(&mut self, other: &Self) -> Result<()> {
        for (a, b) in self.bands.iter_mut().zip(&other.bands) {
            a.rows = a.rows.checked_add(b.rows).ok_or(Error::Overflow("rows"))?;
            a.mass.merge(&b.mass)?;
            a.label.merge(&b.label);
            a.prediction.merge(&b.prediction);
            for (x, y) in a.products.iter_mut().zip(&b.products) {
                x.merge(y);
            }
            for (x, y) in a.cross.iter_mut().zip(&b.cross) {
                x.merge(y);
            }
        }
        Ok(())
    }

    pub(super) fn sums(&self, weighting: Weighting) -> Vec<BandSums> {
        self.bands
            .iter()
            .map(|b| {
                let (label, prediction) = (b.label.to_f64(), b.prediction.to_f64());
                BandSums {
                    rows: b.rows,
                    amount: b.mass.amount(weighting),
                    label,
                    prediction,
                    products: [0, 1, 2].map(|i| b.products[i].to_f64()),
                    cross: if weighting.is_weighted() {
                        [b.cross[0].to_f64(), b.cross[1].to_f64()]
                    } else {
                        [label, prediction]
                    },
                }
            })
            .collect()
    }

    pub(super) fn encode(&self, weighting: Weighting, w: &mut Writer) {
        for b in &self.bands {
            w.varint(b.rows);
            if b.rows == 0 {
                continue;
            }
            b.mass.encode(weighting, w);
            b.label.encode(w);
            b.prediction.encode(w);
            b.products.iter().for_each(|s| s.encode(w));
            if weighting.is_weighted() {
                b.cross.iter().for_each(|s| s.encode(w));
            }
        }
    }

    pub(super) fn decode(edges: usize, weighting: Weighting, r: &mut Reader<'_>) -> Result<Self> {
        let mut bands = Vec::new();
        for _ in 0..=edges {
            let mut b = Band {
                rows: r.varint()?,
                ..Band::default()
            };
            if b.rows > 0 {
                b.mass = Mass::decode(weighting, r)?;
                b.label = Sum::decode(r)?;
                b.prediction = Sum::decode(r)?;
                for s in &mut b.products {
                    *s = Sum::decode(r)?;
                }
                if weighting.is_weighted() {
                    for s in &mut b.cross {
                        *s = Sum::decode(r)?;
                    }
                }
            }
            bands.push(b);
        }
        Ok(Self { bands })
    }
}
