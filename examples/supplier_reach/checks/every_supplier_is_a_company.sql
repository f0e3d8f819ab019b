-- A supplier that is no company of ours: the query gives a row, and the check fails.
SELECT reached.company, reached.supplier
FROM ${catalog}.${schema}.supplier_reach AS reached
LEFT ANTI JOIN ${catalog}.${schema}.companies AS companies
  ON reached.supplier = companies.company;
