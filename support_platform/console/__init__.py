"""
The console: Django's admin, in which nothing is written except through the operations that the API calls.

`site` is the console itself (login, faults as pages), `base.OperationAdmin` what every model's page inherits,
`forms` the change of one row, `actions` an operation on chosen rows, `lists` filters, parameters and pages,
`panels` what else a page shows, `charts` how it draws it.
"""
