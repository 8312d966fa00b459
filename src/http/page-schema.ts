import { type TSchema, Type } from 'typebox'

/** Shape of `toPage` for the OpenAPI document. */
export const pageData = (record: TSchema) =>
  Type.Object({
    pageNumber: Type.Integer(),
    pageSize: Type.Integer(),
    totalRecords: Type.Integer(),
    totalPages: Type.Integer(),
    records: Type.Array(record),
    count: Type.Integer({ description: 'Older name of totalRecords' }),
    page: Type.Integer({ description: 'Older name of pageNumber' }),
  })
