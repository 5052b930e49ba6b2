//! Contracts: how each product's webhooks look and behave.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::auth::ReadAll;
use crate::error::{ApiResult, Code};
use crate::extract::json;
use crate::openapi::Errors;
use crate::state::ApiState;
use crate::wire::contract::{ContractListOut, ContractOut, ContractSummaryOut};

/// Lists the contracts the server knows, by name
#[utoipa::path(
    get, path = "/api/v1/contract", operation_id = "v1.contract.list", tag = "Contract",
    responses((status = 200, body = ContractListOut), Errors),
)]
pub(super) async fn list(State(api): State<ApiState>, _: ReadAll) -> Response {
    let contracts = api.engine().contracts().iter();
    let data = contracts.map(|contract| ContractSummaryOut::from(contract.as_ref()));
    let answer = ContractListOut {
        data: data.collect(),
    };
    json(StatusCode::OK, &answer)
}

/// Answers a contract with its event types, their schemas and samples
#[utoipa::path(
    get, path = "/api/v1/contract/{contract_name}", operation_id = "v1.contract.get",
    tag = "Contract", params(("contract_name" = String, Path)),
    responses((status = 200, body = ContractOut), Errors),
)]
pub(super) async fn find(
    State(api): State<ApiState>,
    _: ReadAll,
    Path(name): Path<String>,
) -> ApiResult<Response> {
    let contract = api.engine().contracts().contract(&name);
    let contract = contract.ok_or(Code::NotFound)?;
    Ok(json(StatusCode::OK, &ContractOut::from(contract.as_ref())))
}
