//! Symmetric matrices and their eigenvectors.

/// A symmetric matrix, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Symmetric {
    size: usize,
    entries: Vec<f64>,
}

impl Symmetric {
    /// A matrix of zeros.
    pub fn zeros(size: usize) -> Self {
        Symmetric {
            size,
            entries: vec![0.0; size * size],
        }
    }

    /// The matrix whose entry `(i, j)`, `j <= i`, is `of(i, j)`.
    pub fn from_fn(size: usize, of: impl Fn(usize, usize) -> f64) -> Self {
        let mut made = Symmetric::zeros(size);
        for i in 0..size {
            for j in 0..=i {
                let x = of(i, j);
                made.entries[i * size + j] = x;
                made.entries[j * size + i] = x;
            }
        }
        made
    }

    /// Rows, and columns.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Entry of row `i`, column `j`.
    pub fn get(&self, i: usize, j: usize) -> f64 {
        self.entries[i * self.size + j]
    }
}

/// Sweeps over all pairs; Jacobi's method converges quadratically and needs about ten.
const SWEEPS: usize = 60;

/// Eigenvalues in descending order, with their eigenvectors of length 1.
///
/// Cyclic Jacobi rotations (Golub and Van Loan 2013, algorithm 8.5.3): slower than tridiagonal methods,
/// accurate to the last places and the same on every platform. The first entry of largest size of each
/// vector is positive.
pub fn eigen(mut a: Symmetric) -> (Vec<f64>, Vec<Vec<f64>>) {
    let n = a.size;
    let mut vectors: Vec<Vec<f64>> = (0..n)
        .map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect())
        .collect();
    let norm: f64 = a.entries.iter().map(|x| x * x).sum();
    for _ in 0..SWEEPS {
        let off: f64 = (0..n)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| a.get(i, j) * a.get(i, j))
            .sum();
        if off <= norm * 1e-34 || off.is_nan() {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut vectors, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a.get(j, j).total_cmp(&a.get(i, i)));
    let values = order.iter().map(|&i| a.get(i, i)).collect();
    let vectors = order
        .iter()
        .map(|&i| {
            let v = &vectors[i];
            let largest = v.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
            let first = v.iter().find(|x| x.abs() >= largest * (1.0 - 1e-9));
            let sign = if first.is_some_and(|x| *x < 0.0) {
                -1.0
            } else {
                1.0
            };
            v.iter().map(|x| sign * x).collect()
        })
        .collect();
    (values, vectors)
}

/// One rotation that makes entry `(p, q)` zero.
fn rotate(a: &mut Symmetric, vectors: &mut [Vec<f64>], p: usize, q: usize) {
    let n = a.size;
    let entry = a.get(p, q);
    if entry == 0.0 {
        return;
    }
    let theta = (a.get(q, q) - a.get(p, p)) / (2.0 * entry);
    let t = theta.signum() / (theta.abs() + libm::hypot(theta, 1.0));
    let c = 1.0 / libm::hypot(t, 1.0);
    let s = t * c;
    for k in 0..n {
        let (x, y) = (a.get(k, p), a.get(k, q));
        a.entries[k * n + p] = c * x - s * y;
        a.entries[k * n + q] = s * x + c * y;
    }
    for k in 0..n {
        let (x, y) = (a.get(p, k), a.get(q, k));
        a.entries[p * n + k] = c * x - s * y;
        a.entries[q * n + k] = s * x + c * y;
    }
    a.entries[p * n + q] = 0.0;
    a.entries[q * n + p] = 0.0;
    let (head, tail) = vectors.split_at_mut(q);
    for (x, y) in head[p].iter_mut().zip(&mut tail[0]) {
        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_orthonormal_and_rebuild_the_matrix() {
        let n = 7;
        let a = Symmetric::from_fn(n, |i, j| {
            libm::sin((3 * i + 5 * j * j) as f64) + (i * j) as f64
        });
        let (values, vectors) = eigen(a.clone());
        assert!(values.windows(2).all(|w| w[0] >= w[1]));
        for i in 0..n {
            for j in 0..n {
                let dot: f64 = (0..n).map(|k| vectors[i][k] * vectors[j][k]).sum();
                assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-14);
                let entry: f64 = (0..n)
                    .map(|k| values[k] * vectors[k][i] * vectors[k][j])
                    .sum();
                assert!((entry - a.get(i, j)).abs() < 1e-12 * values[0].abs());
            }
        }
    }

    #[test]
    fn of_nothing_and_of_a_diagonal() {
        assert_eq!(eigen(Symmetric::zeros(0)), (vec![], vec![]));
        let (values, vectors) = eigen(Symmetric::from_fn(2, |i, j| {
            f64::from(u8::from(i == j)) * (i + 1) as f64
        }));
        assert_eq!(values, [2.0, 1.0]);
        assert_eq!(vectors, [[0.0, 1.0], [1.0, 0.0]]);
    }
}
