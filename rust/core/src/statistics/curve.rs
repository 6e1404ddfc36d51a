//! The sampling error of integrals over the difference of two distribution functions.

/// What it is made of, gathered from low to high values.
#[derive(Default)]
pub(super) struct Curve {
    /// Integral of the left factor of the kernel so far, and of both over `s < t`.
    left: f64,
    both: f64,
    /// Integral of the slope so far, and first and second moments of it over the rows of either side.
    influence: f64,
    reference: (f64, f64),
    current: (f64, f64),
    /// Rows of both sides, and the integral of the slope at them, by coarse cell.
    coarse: Vec<(f64, f64)>,
}

impl Curve {
    /// A stretch of this width, whose shares of rows lie in its middle: the two factors of the kernel
    /// there, and the slope, by which the influence of a row falls.
    pub fn add(
        &mut self,
        width: f64,
        kernel: (f64, f64),
        slope: f64,
        rows: (f64, f64),
        coarse: u32,
    ) {
        let at = self.influence + 0.5 * width * slope;
        let coarse = coarse as usize;
        if coarse >= self.coarse.len() {
            self.coarse.resize(coarse + 1, (0.0, 0.0));
        }
        self.coarse[coarse].0 += rows.0 + rows.1;
        self.coarse[coarse].1 += at * (rows.0 + rows.1);
        for (side, rows) in [(&mut self.reference, rows.0), (&mut self.current, rows.1)] {
            side.0 += rows * at;
            side.1 += rows * at * at;
        }
        self.influence += width * slope;
        let own = width * kernel.0;
        self.both += width * kernel.1 * (self.left + 0.5 * own);
        self.left += own;
    }

    /// Integral of the kernel over `s < t`.
    pub fn kernel(&self) -> f64 {
        self.both
    }

    /// Mean of the integral of the slope at the rows of a coarse cell.
    pub fn score(&self, coarse: u32) -> f64 {
        let (rows, sum) = self
            .coarse
            .get(coarse as usize)
            .copied()
            .unwrap_or_default();
        if rows > 0.0 { sum / rows } else { 0.0 }
    }

    /// Variance of the mean integral of the slope, for the reciprocals of the rows of both sides.
    pub fn variance(&self, inverse: (f64, f64)) -> f64 {
        let spread = |(first, second): (f64, f64)| (second - first * first).max(0.0);
        spread(self.reference) * inverse.0 + spread(self.current) * inverse.1
    }
}
