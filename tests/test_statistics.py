import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import integrate, stats

from vkd import UserError
from vkd.leaderboard import statistics
from vkd.leaderboard.statistics import (
    additive_model,
    analyse,
    dunnett_quantile,
    equal_cost,
    power,
    seed_correlation,
    seeds_needed,
    simulated,
    told_apart,
    verdict_rates,
)

#: two-sided 5 % critical values of k = 1 … 9 comparisons with a control: Dunnett, Biometrics 20 (1964), table II
DUNNETT = {
    5: (2.57, 3.03, 3.29, 3.48, 3.62, 3.73, 3.82, 3.90, 3.97),
    10: (2.23, 2.57, 2.76, 2.89, 2.99, 3.07, 3.14, 3.19, 3.24),
    20: (2.09, 2.38, 2.54, 2.65, 2.73, 2.80, 2.86, 2.90, 2.95),
    60: (2.00, 2.27, 2.41, 2.51, 2.58, 2.64, 2.69, 2.73, 2.77),
    math.inf: (1.96, 2.21, 2.35, 2.44, 2.51, 2.57, 2.61, 2.65, 2.69),
}
#: score = method + seed + error, worked by hand: means 12, 13, 14, of seeds 34/3, 13, 44/3; squares of residuals add up to 10/3
HAND = {'alone': (10, 12, 14), 'a': (11, 14, 14), 'b': (13, 13, 16)}


def rows(table):
    return {name: dict(enumerate(values)) for name, values in table.items()}


def drawn(names, seeds, seed=0, effect=2.0):
    """{name: scores} with seeds as blocks."""
    generator = np.random.default_rng(seed)
    blocks = effect * generator.standard_normal(seeds)
    return {name: 20 + i + blocks + generator.standard_normal(seeds) for i, name in enumerate(names)}


def ols(table):
    """statsmodels' least squares of row + column, no intercept; the first parameters are those of the rows."""
    y = np.array(list(table.values()))
    row, column = (a.ravel() for a in np.indices(y.shape))
    design = np.hstack([row[:, None] == np.arange(y.shape[0]), column[:, None] == np.arange(1, y.shape[1])])
    return sm.OLS(y.ravel(), design.astype(float)).fit()


# --- critical values ---


@pytest.mark.parametrize('df', DUNNETT)
def test_published_critical_values_of_dunnett(df):
    assert [round(dunnett_quantile(0.95, k, df), 2) for k in range(1, 10)] == list(DUNNETT[df])


def test_published_critical_values_at_one_percent():
    # the same source, 10 and 20 degrees of freedom
    assert [round(dunnett_quantile(0.99, k, 10), 2) for k in (1, 2, 3, 5, 9)] == [3.17, 3.53, 3.74, 3.99, 4.28]
    assert [round(dunnett_quantile(0.99, k, 20), 2) for k in (1, 2, 3, 5, 9)] == [2.85, 3.13, 3.29, 3.48, 3.69]


@pytest.mark.parametrize('df', [1, 2, 3.5, 8, 100, 5000, math.inf])
@pytest.mark.parametrize('level', [0.8, 0.95, 0.999])
def test_one_comparison_is_students_t(level, df):
    assert dunnett_quantile(level, 1, df) == pytest.approx(stats.t.ppf((1 + level) / 2, df), rel=1e-8)


@pytest.mark.parametrize(('level', 'k', 'df'), [(0.95, 3, 4), (0.995, 20, 40), (0.99, 7, 2)])
def test_critical_value_against_another_quadrature(level, k, df):
    """Adaptive, in s itself and in z over all reals."""
    c = dunnett_quantile(level, k, df)

    def all_within(s):
        wide = c * s * math.sqrt(2)
        inner = integrate.quad(
            lambda z: stats.norm._pdf(z) * (stats.norm._cdf(z + wide) - stats.norm._cdf(z - wide)) ** k, -9, 9, epsabs=1e-11
        )[0]
        return inner * stats.chi.pdf(s * math.sqrt(df), df) * math.sqrt(df)

    assert integrate.quad(all_within, 0, np.inf, epsabs=1e-10, limit=200)[0] == pytest.approx(level, abs=1e-9)


def test_critical_value_is_the_same_on_every_call():
    first = dunnett_quantile(0.95, 6, 24)
    dunnett_quantile.cache_clear()
    assert dunnett_quantile(0.95, 6, 24) == first


def test_critical_value_against_scipy_and_r_on_unblocked_data():
    # Villars' fabrics, of Dunnett 1955; limits by R's multcomp::glht, as scipy's own tests give them
    control, groups = [55, 47, 48], [[55, 64, 64], [55, 49, 52], [50, 44, 41]]
    sd = math.sqrt(np.mean([np.var(g, ddof=1) for g in [control, *groups]]))
    assert dunnett_quantile(0.95, 3, 8) * sd * math.sqrt(2 / 3) == pytest.approx(10.2470971974947, abs=2e-3)
    generator = np.random.default_rng(3)
    control, *groups = generator.normal(30, 2, (6, 7))
    sd = math.sqrt(np.mean([np.var(g, ddof=1) for g in [control, *groups]]))
    interval = stats.dunnett(*groups, control=control, rng=np.random.default_rng(0)).confidence_interval(0.95)
    c = (interval.high - interval.low) / 2 / (sd * math.sqrt(2 / 7))
    np.testing.assert_allclose(c, dunnett_quantile(0.95, 5, 36), atol=5e-3)


@pytest.mark.parametrize(('k', 'df', 'level'), [(0, 5, 0.95), (2, 0, 0.95), (2, math.nan, 0.95), (2, 5, 1.0), (2, 5, 95)])
def test_critical_value_of_nothing(k, df, level):
    with pytest.raises(UserError, match='give'):
        dunnett_quantile(level, k, df)


# --- a board ---


def test_board_worked_by_hand():
    board = analyse(rows(HAND))
    assert board.freedom == 4 and board.residual_sd == pytest.approx(math.sqrt(5 / 6)) and board.joint == ['a', 'b']
    assert [(c.method, c.gain, c.kind, c.reason) for c in board.comparisons.values()] == [
        ('a', 1.0, 'dunnett', None),
        ('b', 2.0, 'dunnett', None),
    ]
    half = dunnett_quantile(0.95, 2, 4) * math.sqrt(5 / 6 * 2 / 3)
    assert all(c.half == pytest.approx(half) for c in board.comparisons.values())
    # deviations -2 0 2 alone, -2 1 1 and -1 -1 2: products 6 and 6, squares 6 + 6 and 2 x 8
    assert board.seed_correlation == pytest.approx(12 / math.sqrt(12 * 16))
    assert board.apart == []  # 1 is less than 3.93 x 0.913 / sqrt 3
    apart = analyse(rows(HAND | {'c': (19, 21, 23)}))
    assert apart.apart == [('c', 'b'), ('c', 'a')]


def test_additive_model_and_its_intervals_against_statsmodels():
    table = drawn(['alone', 'a', 'b', 'c', 'd'], 6)
    fit, (sd, freedom) = ols(table), additive_model(np.array(list(table.values())))
    assert (sd**2, freedom) == (pytest.approx(fit.mse_resid), fit.df_resid)
    board = analyse(rows(table))
    for i, comparison in enumerate(board.comparisons.values(), 1):
        contrast = np.zeros(len(fit.params))
        contrast[[0, i]] = -1, 1
        found = fit.t_test(contrast)
        assert comparison.gain == pytest.approx(found.effect.item())
        assert comparison.half == pytest.approx(dunnett_quantile(0.95, 4, 20) * found.sd.item())


def test_what_all_runs_of_a_seed_share_drops_out():
    table = drawn(['alone', 'a', 'b'], 5)
    shifted = {name: values + np.array([0, 30, -7, 2, 100]) for name, values in table.items()}
    one, other = analyse(rows(table)), analyse(rows(shifted))
    assert other.residual_sd == pytest.approx(one.residual_sd)
    assert other.comparisons['b'].half == pytest.approx(one.comparisons['b'].half)
    assert other.seed_correlation > 0.99 > one.seed_correlation


def test_a_mixed_board_shares_the_error_out():
    table = rows(drawn(['alone', 'a', 'b', 'c', 'd'], 4))
    table['c'] = {seed + 9: score for seed, score in table['c'].items()}
    board = analyse(table)
    assert board.joint == ['a', 'b', 'd'] and list(board.comparisons) == ['a', 'b', 'c', 'd']
    assert board.comparisons['a'].half == pytest.approx(dunnett_quantile(1 - 0.05 * 3 / 4, 3, 9) * board.residual_sd * math.sqrt(2 / 4))
    welch = stats.ttest_ind(list(table['c'].values()), list(table['alone'].values()), equal_var=False).confidence_interval(1 - 0.05 / 4)
    assert (board.comparisons['c'].kind, board.comparisons['c'].reason) == ('welch', 'other seeds than the student alone')
    assert board.comparisons['c'].half == pytest.approx((welch.high - welch.low) / 2)
    assert board.comparisons['c'].gain == pytest.approx((welch.high + welch.low) / 2)


def test_why_a_board_falls_back_to_welch():
    table = rows(drawn(['alone', 'a', 'b'], 4))

    def reasons(table):
        return {m: c.reason for m, c in analyse(table).comparisons.items()}

    two = {name: {0: own[0], 1: own[1]} for name, own in table.items()}
    assert reasons(two) == dict.fromkeys('ab', 'two seeds only')
    assert reasons({'alone': table['alone'], 'a': table['a']}) == {'a': 'one method'}
    fewer = table | {'b': two['b']}
    assert reasons(fewer) == {'a': 'no other method has the seeds of the student alone', 'b': 'other seeds than the student alone'}
    assert analyse(fewer).residual_sd is None and analyse(fewer).joint == [] and analyse(fewer).apart == []


def test_rows_of_one_score_are_left_out():
    table = rows(HAND | {'one': (12,), 'none': ()})
    board = analyse(table)
    assert board == analyse(rows(HAND))
    assert analyse(table, baseline='one').comparisons == {} == analyse(table, baseline='lost').comparisons
    empty = analyse({})
    assert (empty.residual_sd, empty.freedom, empty.seed_correlation, empty.apart, empty.joint) == (None, None, None, [], [])


def test_fewer_scores_of_one_row_do_not_borrow_freedom_from_the_other():
    base, few = [24.0, 22.0, 25.0, 21.0, 23.0], [25.0, 25.1]
    board = analyse({'alone': dict(enumerate(base)), 'few': dict(enumerate(few))})
    error = math.sqrt(np.var(base, ddof=1) / 5 + np.var(few, ddof=1) / 2)
    # Satterthwaite's would be 4.04
    assert board.comparisons['few'].half == pytest.approx(stats.t.ppf(0.975, 2) * error)


def test_scores_that_do_not_vary():
    for values in ((0.1, 0.1, 0.1), (1.0, 2.0, 3.0), (0.1, 0.2, 0.7)):
        board = analyse(rows({'alone': values, 'a': values, 'b': [x + 0.3 for x in values]}))
        assert board.residual_sd == 0 and [c.half for c in board.comparisons.values()] == [0, 0]
        assert board.comparisons['a'].gain == 0 and board.apart == [('b', 'a')]
    board = analyse(rows({'alone': (3.0, 3.0), 'a': (3.0, 3.0)}))
    assert (board.comparisons['a'].gain, board.comparisons['a'].half, board.seed_correlation) == (0, 0, None)
    assert analyse(rows({'alone': (0, 1e-170), 'a': (0, 1e-170)})).comparisons['a'].half >= 0  # squares of variances underflow


@pytest.mark.parametrize('wrong', [math.nan, math.inf])
def test_a_score_that_is_no_number_is_named(wrong):
    with pytest.raises(UserError, match="'a' with seed 2 is"):
        analyse(rows(HAND | {'a': (11, 14, wrong)}))
    with pytest.raises(UserError, match='between 0 and 1'):
        analyse(rows(HAND), level=95)


def test_methods_told_apart_against_scipy():
    """One-way layout: the pairs are those of scipy's tukey_hsd, and the limit is its half width, seen from both sides."""
    groups = dict(zip('abcd', np.random.default_rng(5).normal([[0], [0.5], [2], [3.5]], 1, (4, 6)), strict=True))
    sd = math.sqrt(np.mean([g.var(ddof=1) for g in groups.values()]))
    found = stats.tukey_hsd(*groups.values())
    apart = told_apart({name: g.mean() for name, g in groups.items()}, sd, 20, 6)
    # the means rise from a to d, so the higher one is the later letter
    assert set(apart) == {('abcd'[i], 'abcd'[j]) for i, j in np.argwhere(found.pvalue < 0.05) if i > j} and 0 < len(apart) < 6
    interval = found.confidence_interval(0.95)
    least = ((interval.high - interval.low) / 2)[0, 1]
    for factor, expected in ((1 + 1e-5, [('b', 'a')]), (1 - 1e-5, [])):
        assert told_apart({'a': 0.0, 'b': factor * least, 'c': 0.5 * least, 'd': 0.5 * least}, sd, 20, 6) == expected
    assert told_apart({'a': 1.0}, sd, 20, 6) == []


# --- equal seeds ---


def test_correlation_of_equal_seeds_on_committed_scores():
    """docs/leaderboard: mIoU of camvid_quick's lite0, PSNR of super-resolution's imdn-half."""
    camvid = {'alone': (24.6586, 21.6414, 24.9515), 'CWD': (25.6236, 23.6206, 25.1517), 'KL': (25.0219, 22.2521, 24.9584)}
    camvid['FeatureKD'] = (24.6364, 22.3149, 24.9689)
    assert round(seed_correlation(rows(camvid)), 2) == 0.97
    restoration = {'alone': (28.58823, 28.70217, 28.69208), 'WaveletKD': (29.14711, 29.15731, 29.14581)}
    restoration |= {'OutputKD': (28.77826, 28.86756, 28.86298), 'FeatureKD': (28.55490, 28.66744, 28.72160)}
    restoration['FAKD'] = (28.44379, 28.58392, 28.66355)
    assert round(seed_correlation(rows(restoration)), 2) == 0.78


def test_correlation_of_equal_seeds_by_hand():
    table = {'alone': {0: 24.0, 1: 21.0, 2: 24.0}, 'same': {0: 44.0, 1: 41.0, 2: 44.0}, 'elsewhere': {7: 1.0, 8: 2.0}}
    assert seed_correlation(table) == pytest.approx(1)
    # shares seeds 1 and 2: deviations 1 and -1 against -1.5 and 1.5; of 'same' 1 -2 1 against itself
    table['opposite'] = {1: 3.0, 2: 1.0, 3: 50.0}
    assert seed_correlation(table) == pytest.approx((6 - 3) / math.sqrt((6 + 2) * (6 + 4.5)))
    assert seed_correlation({'alone': table['alone'], 'elsewhere': table['elsewhere']}) is None
    assert seed_correlation({'same': table['same']}) is None
    for flat in (0.1, 0.7, 28.59):  # of which some have a mean that rounding moved
        assert seed_correlation({'alone': dict.fromkeys(range(3), flat), 'same': table['same']}) is None


# --- equal cost ---

LONGER = {1.5: (13, 14, 15), 2.0: (14, 15, 19)}


def test_equal_cost_worked_by_hand():
    out = equal_cost(rows(HAND), rows(LONGER), {'a': (1.25, None), 'b': (1.75, 0.1)})
    assert out['a'].gain == pytest.approx(13 - (12 + 14) / 2) and out['b'].gain == pytest.approx(14 - (14 + 16) / 2)
    sd, freedom = additive_model(np.array([*HAND.values(), *LONGER.values()]))
    assert freedom == 8
    t = stats.t.ppf(1 - 0.05 / 2 / 2, 8)
    assert out['a'].half == pytest.approx(t * sd * math.sqrt(1.5 / 3))
    assert out['b'].half == pytest.approx(t * math.sqrt(sd**2 * 1.5 / 3 + ((16 - 14) / 0.5 * 0.1) ** 2))
    assert out['a'].reason is None and out['b'].reason is None


def test_equal_cost_against_statsmodels():
    table = drawn(['alone', 'a', 'b', 1.5, 3.0], 5, seed=1)
    fit = ols(table)
    budgets = rows({f: table[f] for f in (1.5, 3.0)}) | {1.0: rows(table)['alone']}
    out = equal_cost(rows({m: table[m] for m in ('alone', 'a', 'b')}), budgets, {'a': (1.2, 0.0), 'b': (2.5, None)})
    for method, at, weights in (('a', 1, {0: -0.6, 3: -0.4}), ('b', 2, {3: -1 / 3, 4: -2 / 3})):
        contrast = np.zeros(len(fit.params))
        contrast[at] = 1
        contrast[list(weights)] = list(weights.values())
        found = fit.t_test(contrast)
        low, high = found.conf_int(0.05 / 2)[0]
        assert (out[method].gain, out[method].half) == (pytest.approx(found.effect.item()), pytest.approx((high - low) / 2))


def test_equal_cost_on_and_below_a_budget():
    table, budgets = rows(HAND), rows(LONGER)
    sd, freedom = additive_model(np.array([*HAND.values(), *LONGER.values()]))
    half = stats.t.ppf(1 - 0.05 / 2, freedom) * sd * math.sqrt(2 / 3)
    for ratio, mean in ((0.5, 12), (1.0, 12), (1.5, 14), (2.0, 16)):
        out = equal_cost(table, budgets, {'a': (ratio, None)})
        assert (out['a'].gain, out['a'].half) == (pytest.approx(13 - mean), pytest.approx(half))
        assert out['b'].reason == 'its cost was not measured'


def test_why_there_is_no_gain_at_equal_cost():
    table, budgets = rows(HAND | {'one': (12,)}), rows(LONGER | {4.0: (20,)})
    ratios = {'a': (3.3333333, 0.1), 'b': None, 'one': (1.0, None)}
    assert {m: (c.gain, c.half, c.reason) for m, c in equal_cost(table, budgets, ratios).items()} == {
        'a': (None, None, 'the student alone was run up to 2 times as long with two seeds, and this costs 3.333'),
        'b': (None, None, 'its cost was not measured'),
        'one': (None, None, 'needs a second seed'),
    }
    out = equal_cost(rows(HAND), rows(LONGER), ratios)
    assert out['a'].reason == 'the student alone was run up to 2 times as long, and this costs 3.333'
    assert equal_cost(rows(HAND), {}, {'a': (1.01, None)})['a'].reason.endswith('up to 1 times as long, and this costs 1.01')
    assert equal_cost(rows({'alone': (3,), 'a': (3, 4)}), {}, {'a': (1.0, None)})['a'].reason == 'the student alone needs a second seed'


def test_equal_cost_of_other_seeds():
    base, method = {0: 10.0, 1: 12.0, 2: 15.0}, {5: 20.0, 6: 21.0, 7: 25.0}
    ratios = {'a': (1.5, None)}
    # budgets of equal seeds: seed by seed
    out = equal_cost({'alone': base, 'a': method}, {2.0: {0: 14.0, 1: 16.0, 2: 17.0}}, ratios)
    welch = stats.ttest_ind(list(method.values()), [12.0, 14.0, 16.0], equal_var=False).confidence_interval()
    assert (out['a'].gain, out['a'].half) == (pytest.approx(8), pytest.approx((welch.high - welch.low) / 2))
    # of other seeds: three groups
    out = equal_cost({'alone': base, 'a': method}, {2.0: {8: 14.0, 9: 16.0, 10: 17.0}}, ratios)
    parts = [w**2 * np.var(list(r), ddof=1) / 3 for w, r in ((1, method.values()), (0.5, base.values()), (0.5, (14, 16, 17)))]
    freedom = sum(parts) ** 2 / sum(p**2 / 2 for p in parts)
    assert out['a'].half == pytest.approx(stats.t.ppf(0.975, freedom) * math.sqrt(sum(parts)))


def test_equal_cost_where_nothing_varies():
    flat = {'alone': (3.0,) * 3, 'a': (5.0,) * 3}
    out = equal_cost(rows(flat), rows({2.0: (4.0,) * 3}), {'a': (1.5, None)})
    assert (out['a'].gain, out['a'].half) == (pytest.approx(1.5), 0)
    flat['a'] = (5.0,) * 2  # other seeds; what is left is the deviation of the ratio, which counts as known
    out = equal_cost(rows(flat), rows({2.0: (4.0,) * 3}), {'a': (1.5, 0.2)})
    assert out['a'].half == pytest.approx(1.959964 * 0.2)


@pytest.mark.parametrize(
    ('budgets', 'ratios', 'told'),
    [
        ({0.0: (1, 2)}, {}, "budget is 0.0 times that of the student alone; give a positive"),
        ({}, {'a': (math.nan, None)}, "cost of 'a' is nan times"),
        ({}, {'a': (-1.0, None)}, "cost of 'a' is -1.0 times"),
        ({}, {'a': (1.0, math.inf)}, "standard error of the cost of 'a' is inf"),
        ({2.0: (1, math.nan)}, {}, 'score of 2.0 with seed 1 is nan'),
    ],
)
def test_equal_cost_of_wrong_numbers(budgets, ratios, told):
    with pytest.raises(UserError, match=told):
        equal_cost(rows(HAND), rows(budgets), ratios)


# --- power ---


def test_power_against_scipy():
    for delta, sigma, seeds, k in ((1.0, 0.5, 5, 10), (0.3, 1.0, 3, 2), (-4.0, 1.5, 8, 20), (0.0, 1.0, 5, 4)):
        freedom, shift = k * (seeds - 1), delta / (sigma * math.sqrt(2 / seeds))
        c = dunnett_quantile(0.95, k, freedom)
        expected = stats.nct.sf(c, freedom, shift) + stats.nct.cdf(-c, freedom, shift)
        assert power(delta, sigma, seeds, k) == pytest.approx(expected, abs=1e-8)
    assert power(1e4, 1.0, 5, 10) == pytest.approx(1)


def test_seeds_needed_is_the_fewest():
    for delta, k, wanted in ((0.5, 4, 0.8), (1.0, 10, 0.9), (2.0, 3, 0.5)):
        n = seeds_needed(delta, 1.0, k, wanted)
        assert power(delta, 1.0, n, k) >= wanted > power(delta, 1.0, n - 1, k)
    assert seeds_needed(100, 1.0, 2) == 3
    with pytest.raises(UserError, match='more than 1000 seeds'):
        seeds_needed(0.0, 1.0, 4)


@pytest.mark.parametrize(('sigma', 'seeds', 'k'), [(1.0, 2, 5), (1.0, 5, 1), (0.0, 5, 5)])
def test_power_of_boards_that_dunnett_does_not_judge(sigma, seeds, k):
    with pytest.raises(UserError, match='give 3 seeds, 2 methods or more'):
        power(1.0, sigma, seeds, k)


# --- simulation ---


def within(share, expected, boards):
    """Three standard errors of a share of so many boards."""
    return 3 * math.sqrt(expected * (1 - expected) / boards) >= abs(share - expected)


@pytest.mark.parametrize(('methods', 'seeds', 'correlation'), [(4, 3, 0.0), (10, 5, 0.8)])
def test_false_verdicts_of_joint_boards(methods, seeds, correlation):
    boards = 2500
    false, apart, _ = verdict_rates(simulated(boards, methods, seeds, np.random.default_rng(7), correlation=correlation))
    assert within(false, 0.05, boards) and within(apart, 0.05, boards)


@pytest.mark.parametrize(
    ('methods', 'seeds', 'fewer', 'correlation'),
    [(10, 5, 3, 0.0), (10, 5, 8, 0.0), (10, 5, 3, 0.8), (4, 3, 2, 0.0), (1, 2, 0, 0.0), (3, 2, 0, 0.0), (10, 2, 0, 0.0), (1, 5, 0, 0.0)],
)
def test_false_verdicts_of_mixed_and_small_boards(methods, seeds, fewer, correlation):
    boards = 1000
    false, _, _ = verdict_rates(simulated(boards, methods, seeds, np.random.default_rng(8), correlation=correlation, fewer=fewer))
    assert false <= 0.05 or within(false, 0.05, boards)


@pytest.mark.parametrize(('methods', 'seeds', 'gain'), [(4, 3, 3.0), (10, 5, 2.0)])
def test_simulated_power(methods, seeds, gain):
    boards = 2000
    false, _, told = verdict_rates(simulated(boards, methods, seeds, np.random.default_rng(9), gain), 'm0')
    assert within(told, power(gain, 1.0, seeds, methods), boards)
    assert false <= 0.05 or within(false, 0.05, boards)


@pytest.mark.parametrize('other_seeds', [False, True])
def test_false_verdicts_at_equal_cost(other_seeds):
    """Scores rise by 4 where the student alone is trained twice as long, costs are measured with an error; no method has a gain at its cost."""
    boards, generator = 1500, np.random.default_rng(10)
    costs, false = {'a': 1.3, 'b': 1.9, 'c': 1.5}, 0
    for _ in range(boards):
        rows_at = {'alone': 1.0, **costs, 1.4: 1.4, 1.7: 1.7, 2.5: 2.5}
        effect, error = generator.standard_normal(4), generator.standard_normal((7, 4))
        table = {name: 4 * (cost - 1) + effect + e for (name, cost), e in zip(rows_at.items(), error, strict=True)}
        table = rows(table)
        if other_seeds:
            for m, cost in costs.items():
                table[m] = dict(enumerate((4 * (cost - 1) + math.sqrt(2) * generator.standard_normal(4)).tolist(), 9))
        budgets = {f: table.pop(f) for f in (1.4, 1.7, 2.5)}
        ratios = {m: (cost + generator.normal(0, 0.1), 0.1) for m, cost in costs.items()}
        out = equal_cost(table, budgets, ratios)
        false += any(abs(c.gain) > c.half for c in out.values())
    assert false / boards <= 0.05 or within(false / boards, 0.05, boards)


def test_the_program_prints_its_tables(capsys):
    statistics.main(boards=20)
    printed = capsys.readouterr().out
    assert '| 10 | 5 | 8 | 0.0 |' in printed and '| 1 | 20 | 23 | 26 | 29 |' in printed and '| 10 | 5 | 2 |' in printed
    assert printed.count('| – |') == 3
