// Numbers as people read them.

const euros = new Intl.NumberFormat("en", { style: "currency", currency: "EUR" });
const count = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const share = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });

export const asEuros = (value) => euros.format(value);
export const asCount = (value) => count.format(value);
export const asShare = (value) => share.format(value);
