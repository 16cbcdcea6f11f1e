"""Five lines
==========

The input is a table with users, items and missing values. The output is the probabilities of a click and a conversion.
"""

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel

X, Y = make_funnel(n_samples=6000, random_state=0, return_X_y=True)
model = FSMDClassifier(random_state=0).fit(X[:5000], Y[:5000])
p = model.predict_marginals(X[5000:])
auc = model.score(X[5000:], Y[5000:])
print(f"mean AUC {auc:.3f}; the first three rows, P(click) and P(conversion):\n{p[:3].round(3)}")

# %%
# The columns of X. Categories, numbers and missing values need no preprocessing.

print(X.head(3).to_string())

# %%
# Training, epoch by epoch. The model keeps the parameters of the best validation check.

from sklearn_fsmd.plotting import HistoryDisplay

display = HistoryDisplay.from_estimator(model)

# %%
# scikit-learn's diagram of the model. Its question mark links to the documentation of the class.

model
