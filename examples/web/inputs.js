// Rows become the inputs of a session: what `inputs` of docs/serving.md does, in JavaScript.
import { Tensor } from "./ort/ort.wasm.min.mjs";

const TYPES = { string: "string", int64: "int64", double: "float64", float: "float32" };
const ARRAYS = { int64: BigInt64Array, double: Float64Array, float: Float32Array };
const LARGEST = 3.4028234663852886e38; // of a float of 32 bits
const INTEGER = /^-?\d+$/;

/**
 * The tensors for all rows, by the name of the input.
 *
 * `columns` is the metadata entry "columns" of the file. A row is an object with a value for each column, where null is
 * a missing value. Ids may be numbers up to 2^53, BigInts, or strings of digits.
 */
export function inputs(columns, rows) {
  const given = {};
  for (const column of columns) {
    const values = rows.map((row) => row[column.name]);
    const absent = values.findIndex((value) => value === undefined);
    if (absent >= 0) throw refusal(column, absent, "the value is absent. Use null where it is missing");
    Object.assign(given, MAKERS[column.holds](column, values));
  }
  return given;
}

function scalars(column, values) {
  const { type, missing } = column;
  const instead = type === "int64" ? BigInt(missing) : type === "double" ? NaN : missing;
  const items = values.map((value, row) => (value === null ? instead : one(column, row, value)));
  return { [column.name]: tensor(type, items, [items.length]) };
}

// All values one after the other, and where each row begins; missing values are left out.
function lists(column, values) {
  const offsets = [0n];
  const items = [];
  values.forEach((value, row) => {
    for (const item of arrayOf(column, row, value ?? [])) if (item !== null) items.push(one(column, row, item));
    offsets.push(BigInt(items.length));
  });
  return {
    [column.name]: tensor(column.type, items, [items.length]),
    [column.offsets]: tensor("int64", offsets, [offsets.length]),
  };
}

function vectors(column, values) {
  const { name, width } = column;
  const items = values.flatMap((value, row) => {
    if (value === null) return Array(width).fill(NaN);
    const vector = arrayOf(column, row, value);
    if (vector.length !== width) throw refusal(column, row, `${vector.length} numbers instead of ${width}`);
    return vector.map((item) => (item === null ? NaN : one(column, row, item)));
  });
  return { [name]: tensor("float", items, [values.length, width]) };
}

const MAKERS = { categories: scalars, numbers: scalars, lists, vectors };

function arrayOf(column, row, value) {
  if (!Array.isArray(value)) throw refusal(column, row, `${String(value)} is no list`);
  return value;
}

function one(column, row, value) {
  if (column.type === "string") {
    if (typeof value !== "string") throw refusal(column, row, `${String(value)} is no string`);
    return value;
  }
  if (column.type === "int64") return whole(column, row, value);
  if (typeof value !== "number" || !(Math.abs(value) <= LARGEST)) {
    throw refusal(column, row, `${String(value)} is no number of 32 bits. Use null where it is missing`);
  }
  return value;
}

function whole(column, row, value) {
  const isWhole =
    typeof value === "boolean" ||
    typeof value === "bigint" ||
    Number.isSafeInteger(value) ||
    (typeof value === "string" && INTEGER.test(value));
  const integer = isWhole ? BigInt(value) : null;
  if (integer === null || BigInt.asIntN(64, integer) !== integer) {
    throw refusal(column, row, `${String(value)} is no whole number. Beyond 2^53 use a string of digits`);
  }
  return integer;
}

function refusal(column, row, what) {
  return new TypeError(`Row ${row}, column '${column.name}': ${what}.`);
}

function tensor(type, items, shape) {
  return new Tensor(TYPES[type], type === "string" ? items : ARRAYS[type].from(items), shape);
}
