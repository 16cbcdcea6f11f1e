"""Five lines
==========

A table with users, items and missing values goes in, probabilities of a click and of a conversion come out.
"""

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel

X, Y = make_funnel(n_samples=6000, random_state=0, return_X_y=True)
model = FSMDClassifier(random_state=0).fit(X[:5000], Y[:5000])
p = model.predict_marginals(X[5000:])
auc = model.score(X[5000:], Y[5000:])
print(f"mean AUC {auc:.3f}; the first three rows, P(click) and P(conversion):\n{p[:3].round(3)}")

# %%
# What X holds. Categories, numbers and gaps are read as they are.

print(X.head(3).to_string())

# %%
# How the fit went, epoch by epoch. The best look at the validation rows is kept.

from sklearn_fsmd.plotting import HistoryDisplay

display = HistoryDisplay.from_estimator(model)

# %%
# scikit-learn's picture of the model. Its question mark leads to the page of the class.

model
