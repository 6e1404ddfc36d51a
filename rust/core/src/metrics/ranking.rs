//! What the metrics of a ranking share: cells of score with the weight of each class.

use super::scores::Step;
use super::weight::Amount;
use super::{Answer, Context, Interval, Scale, State, not_applicable};
use crate::statistics::NotApplicable;

/// Cells ascending by score; both classes have weight.
pub(super) struct Ranking {
    pub steps: Vec<Step>,
    pub positive: Amount,
    pub negative: Amount,
    pub rows: u64,
}

impl Ranking {
    pub fn of(state: &State) -> Result<Self, NotApplicable> {
        let Some(scores) = state.scores() else {
            return not_applicable("the state holds no histogram of scores");
        };
        let steps = scores
            .steps(state.plan().weighting)
            .map_err(|e| NotApplicable(e.to_string()))?;
        let (mut positive, mut negative) = (super::Accurate::default(), super::Accurate::default());
        let (mut positive2, mut negative2) = (0.0, 0.0);
        for s in &steps {
            positive.add(s.positive.w);
            negative.add(s.negative.w);
            positive2 += s.positive.w2;
            negative2 += s.negative.w2;
        }
        let positive = Amount {
            w: positive.value(),
            w2: positive2,
        };
        let negative = Amount {
            w: negative.value(),
            w2: negative2,
        };
        for (class, name) in [(positive, "positive"), (negative, "negative")] {
            if class.w <= 0.0 {
                return not_applicable(format!(
                    "no row of the {name} class has weight; a ranking needs both classes"
                ));
            }
        }
        Ok(Self {
            steps,
            positive,
            negative,
            rows: state.coverage().used,
        })
    }

    /// Share of the positive class among the rows with the highest scores, times `factor`.
    pub fn gains(&self, context: &Context, state: &State, factor: f64) -> Answer {
        let all = self.positive + self.negative;
        let wanted = context.share * all.w;
        let (mut taken, mut found) = (super::Accurate::default(), super::Accurate::default());
        let (mut value, mut low, mut high) = (1.0, 1.0, 1.0);
        for s in self.steps.iter().rev() {
            let cell = s.positive.w + s.negative.w;
            let rest = wanted - taken.value();
            if rest < cell {
                let rest = rest.max(0.0);
                let before = found.value();
                value = before + s.positive.w * (rest / cell);
                (low, high) = if s.single {
                    (value, value)
                } else {
                    (
                        before + (rest - s.negative.w).max(0.0),
                        before + rest.min(s.positive.w),
                    )
                };
                value /= self.positive.w;
                low /= self.positive.w;
                high /= self.positive.w;
                break;
            }
            taken.add(cell);
            found.add(s.positive.w);
        }
        let (value, low, high) = (value.min(1.0), low.min(1.0), high.min(1.0));
        let se = libm::sqrt(self.gains_variance(context.share, value) * context.design_effect);
        let slope = Scale::Logit.slope(value);
        let usable = se > 0.0 && value > 0.0 && value < 1.0 && (se * slope).is_finite();
        let own = Interval::Scaled {
            bounds: (low, high),
            bias: 0.0,
            se: se * slope,
            df: None,
            scale: Scale::Logit,
            range: (0.0, 1.0),
        };
        let interval = if usable {
            Some(own)
        } else if context.share < 1.0 {
            Some(Interval::Wilson(super::Share {
                p: value,
                n: self.positive.effective() / context.design_effect,
            }))
        } else {
            None
        };
        let interval = match interval {
            Some(i) if factor != 1.0 => Some(Interval::Times(factor, Box::new(i))),
            other => other,
        };
        let effective = all.effective() / context.design_effect;
        let rows = state.coverage().used;
        Answer::exact(value * factor, rows, effective, interval, context).bounded(
            low * factor,
            high * factor,
            (0.0, factor),
        )
    }

    /// Variance of the gains: the positive rows above the cut, and the cut's own error, which moves
    /// the gains by the lift of the rows around it.
    fn gains_variance(&self, share: f64, gains: f64) -> f64 {
        let all = self.positive + self.negative;
        let n = all.effective();
        let half = all.w * share.min(1.0 - share) * libm::pow(n, -0.2);
        let cut = (1.0 - share) * all.w; // weight below the cut
        let (mut below, mut near, mut near_positive) = (0.0, 0.0, 0.0);
        let (mut above, mut under) = ([Amount::default(); 2], [Amount::default(); 2]);
        for s in &self.steps {
            let cell = s.positive.w + s.negative.w;
            let overlap = (below + cell).min(cut + half) - below.max(cut - half);
            if overlap > 0.0 && cell > 0.0 {
                near += overlap;
                near_positive += overlap * s.positive.w / cell;
            }
            let side = if below + 0.5 * cell >= cut {
                &mut above
            } else {
                &mut under
            };
            side[0] = side[0] + s.negative;
            side[1] = side[1] + s.positive;
            below += cell;
        }
        // Lift at the cut, per unit of weight.
        let local = if near > 0.0 {
            near_positive / near / self.positive.w
        } else {
            0.0
        };
        let (up, down) = (local * (1.0 - share), local * share);
        let square = |x: f64| x * x;
        above[0].w2 * square(up)
            + under[0].w2 * square(down)
            + above[1].w2 * square((1.0 - gains) / self.positive.w - up)
            + under[1].w2 * square(gains / self.positive.w - down)
    }
}
