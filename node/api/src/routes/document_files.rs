//! Files of private documents: sealed pieces on their way in, verified pieces on their way out. Every request is signed, its
//! body included, so a large file is never one body.

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use vouch_types::{
    api::{
        BeginUploadRequest, FILE_GROUP_BYTES, FILE_PIECE_BYTES_MAX, FileOpening, FinishUploadRequest, HexBytes,
        OpenFileRequest, Problem, UploadView,
    },
    document::DocumentId,
};

use super::documents::{NO_BODY, READ_BYTES_MAX, json_only};
use crate::{
    Api, ApiError, FilePlace,
    answers::WithRoom,
    caller::{DOCUMENT_ROLES, authenticate, authenticate_anyone},
    extract::{MediaType, Path, Query, bad_parameter, from_json},
    rooms::Holder,
};

/// Who may bring files: who may submit what names them.
const UPLOAD_ROLES: &[&str] = &["submitter"];

type Place = (DocumentId, u32, u16, u16);

const fn place((document, version, slot, index): Place) -> FilePlace {
    FilePlace { document, version, slot, index }
}

/// Begin the upload of a file
///
/// For a document that is to be submitted under this id and version. Begun again with the same length and tag, it says how far
/// the upload is.
#[utoipa::path(
    post, path = "/api/v1/documents/{document}/versions/{version}/uploads/{slot}/{index}", tag = "documents",
    params(
        ("document" = DocumentId, Path, description = "The document, by the id it is to have"),
        ("version" = u32, Path, description = "Its version"),
        ("slot" = u16, Path, description = "Slot of the field that will name the file"),
        ("index" = u16, Path, description = "Position in that field, from 0"),
    ),
    request_body = BeginUploadRequest,
    security(("account" = [])),
    responses(
        (status = 200, description = "Begun, or how far it is", body = UploadView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn begin_upload(
    State(api): State<Api>,
    Path(at): Path<Place>,
    request: Request,
) -> Result<Json<UploadView>, ApiError> {
    json_only(request.headers())?;
    let (caller, body) = authenticate(&api, request, UPLOAD_ROLES, READ_BYTES_MAX).await?;
    Ok(Json(api.documents()?.begin_upload(caller.id(), place(at), from_json(&body)?).await?))
}

/// How far an upload is
#[utoipa::path(
    get, path = "/api/v1/documents/{document}/versions/{version}/uploads/{slot}/{index}", tag = "documents",
    params(
        ("document" = DocumentId, Path, description = "The document"),
        ("version" = u32, Path, description = "Its version"),
        ("slot" = u16, Path, description = "Slot of the field"),
        ("index" = u16, Path, description = "Position in that field, from 0"),
    ),
    security(("account" = [])),
    responses(
        (status = 200, description = "How far it is", body = UploadView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn upload(
    State(api): State<Api>,
    Path(at): Path<Place>,
    request: Request,
) -> Result<Json<UploadView>, ApiError> {
    let (caller, _) = authenticate(&api, request, UPLOAD_ROLES, NO_BODY).await?;
    Ok(Json(api.documents()?.upload(caller.id(), place(at)).await?))
}

/// Parameters of [`put_piece`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OffsetQuery {
    offset: u64,
}

/// Send the next piece of a file
///
/// The bytes that begin at `offset`, which is where the upload ends. They are durable when the answer comes.
#[utoipa::path(
    patch, path = "/api/v1/documents/{document}/versions/{version}/uploads/{slot}/{index}", tag = "documents",
    params(
        ("document" = DocumentId, Path, description = "The document"),
        ("version" = u32, Path, description = "Its version"),
        ("slot" = u16, Path, description = "Slot of the field"),
        ("index" = u16, Path, description = "Position in that field, from 0"),
        ("offset" = u64, Query, description = "First byte of the piece"),
    ),
    request_body(content = String, content_type = "application/octet-stream"),
    security(("account" = [])),
    responses(
        (status = 200, description = "How far it is now", body = UploadView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn put_piece(
    State(api): State<Api>,
    Path(at): Path<Place>,
    Query(query): Query<OffsetQuery>,
    request: Request,
) -> Result<Json<UploadView>, ApiError> {
    if MediaType::required(request.headers())? != MediaType::Octets {
        let detail = "send application/octet-stream";
        return Err(ApiError::new("request.unsupported_media_type", detail).at("Content-Type"));
    }
    let (caller, body) = authenticate(&api, request, UPLOAD_ROLES, FILE_PIECE_BYTES_MAX).await?;
    if body.is_empty() {
        return Err(ApiError::new("request.empty", "the piece has no bytes").at("body"));
    }
    Ok(Json(api.documents()?.put_piece(caller.id(), place(at), query.offset, body).await?))
}

/// End the upload of a file
///
/// The node hashes all of it and compares. After that a document that names the file can be staged.
#[utoipa::path(
    post, path = "/api/v1/documents/{document}/versions/{version}/uploads/{slot}/{index}/finish", tag = "documents",
    params(
        ("document" = DocumentId, Path, description = "The document"),
        ("version" = u32, Path, description = "Its version"),
        ("slot" = u16, Path, description = "Slot of the field"),
        ("index" = u16, Path, description = "Position in that field, from 0"),
    ),
    request_body = FinishUploadRequest,
    security(("account" = [])),
    responses(
        (status = 200, description = "It is here whole, and is what its hash says", body = UploadView),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn finish_upload(
    State(api): State<Api>,
    Path(at): Path<Place>,
    request: Request,
) -> Result<Json<UploadView>, ApiError> {
    json_only(request.headers())?;
    let (caller, body) = authenticate(&api, request, UPLOAD_ROLES, READ_BYTES_MAX).await?;
    Ok(Json(api.documents()?.finish_upload(caller.id(), place(at), from_json(&body)?).await?))
}

/// Give an upload up
///
/// What came of it is removed. A file whose document is staged is no upload any more.
#[utoipa::path(
    delete, path = "/api/v1/documents/{document}/versions/{version}/uploads/{slot}/{index}", tag = "documents",
    params(
        ("document" = DocumentId, Path, description = "The document"),
        ("version" = u32, Path, description = "Its version"),
        ("slot" = u16, Path, description = "Slot of the field"),
        ("index" = u16, Path, description = "Position in that field, from 0"),
    ),
    security(("account" = [])),
    responses(
        (status = 204, description = "Removed"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn end_upload(
    State(api): State<Api>,
    Path(at): Path<Place>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let (caller, _) = authenticate(&api, request, UPLOAD_ROLES, NO_BODY).await?;
    api.documents()?.end_upload(caller.id(), place(at)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Open a file for reading
///
/// The contract decides; both an opening and a refusal stand in the node's read audit before anything is shown. Pieces are
/// asked for under the opening.
#[utoipa::path(
    post, path = "/api/v1/documents/{document}/versions/{version}/files/{slot}/{index}/open", tag = "documents",
    params(
        ("document" = DocumentId, Path, description = "The document"),
        ("version" = u32, Path, description = "Its version"),
        ("slot" = u16, Path, description = "Slot of the field that names the file"),
        ("index" = u16, Path, description = "Position in that field, from 0"),
    ),
    request_body = OpenFileRequest,
    security(("account" = [])),
    responses(
        (status = 200, description = "The field with what proves it, the file's ciphertext in short, the wrapped key", body = FileOpening),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn open(
    State(api): State<Api>,
    Path(at): Path<Place>,
    request: Request,
) -> Result<Json<FileOpening>, ApiError> {
    json_only(request.headers())?;
    let (caller, body) = authenticate_anyone(&api, request, DOCUMENT_ROLES, READ_BYTES_MAX).await?;
    Ok(Json(api.documents()?.open_file(caller.id(), place(at), from_json(&body)?).await?))
}

/// Parameters of [`piece`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PieceQuery {
    opening: HexBytes,
    from: u64,
    to: u64,
}

/// Read bytes of an opened file
///
/// The ciphertext of a range with the hashes that prove it under the file's root: the combined pre-order form of bao-tree over
/// groups of 16 KiB, without a length in front. Asked for no longer than the contract allows it.
#[utoipa::path(
    get, path = "/api/v1/documents/{document}/versions/{version}/files/{slot}/{index}", tag = "documents",
    params(
        ("document" = DocumentId, Path, description = "The document"),
        ("version" = u32, Path, description = "Its version"),
        ("slot" = u16, Path, description = "Slot of the field that names the file"),
        ("index" = u16, Path, description = "Position in that field, from 0"),
        ("opening" = String, Query, description = "The opening, 32 hexadecimal digits"),
        ("from" = u64, Query, description = "First byte of the ciphertext, a multiple of 16,384"),
        ("to" = u64, Query, description = "The byte after the last one: a multiple of 16,384, or the end; at most 4 MiB on"),
    ),
    security(("account" = [])),
    responses(
        (status = 200, description = "The bytes with their proof", body = String, content_type = "application/octet-stream"),
        (status = "default", description = "Refused", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn piece(
    State(api): State<Api>,
    Path(at): Path<Place>,
    Query(query): Query<PieceQuery>,
    request: Request,
) -> Result<Response, ApiError> {
    let (caller, _) = authenticate_anyone(&api, request, DOCUMENT_ROLES, NO_BODY).await?;
    let opening = query.opening.0.try_into().map_err(|_| bad_parameter("opening", "32 hexadecimal digits"))?;
    let length = query.to.checked_sub(query.from).and_then(|length| usize::try_from(length).ok());
    let Some(length @ 1..=FILE_PIECE_BYTES_MAX) = length else {
        return Err(bad_parameter("to", &format!("more than from, and at most {FILE_PIECE_BYTES_MAX} bytes on")));
    };
    if !query.from.is_multiple_of(FILE_GROUP_BYTES) {
        return Err(bad_parameter("from", "a multiple of 16,384"));
    }
    // Before it is cut; the answer takes it along. The hashes that prove a group are a small part of it.
    let room = api.signed_rooms.take(Holder::Account(caller.id()), length)?;
    let bytes = api.documents()?.file_piece(caller.id(), place(at), opening, query.from..query.to).await?;
    let media_type = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((media_type, Extension(WithRoom::new(room)), Bytes::from(bytes)).into_response())
}
