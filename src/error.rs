//! What can go wrong, by meaning. A [`Code`] is a promise to clients and alone picks the status;
//! the sentences beside it may change. How an error is written on the wire stands in
//! `http/problem.rs`.

use std::borrow::Cow;

/// A failure on its way to the caller. Logged once, where it is answered.
#[derive(Debug)]
pub struct Error {
    /// The stable code.
    pub code: Code,
    /// What exactly was wrong, one entry a place in the request.
    pub faults: Vec<Fault>,
    /// Members added to the problem document, e.g. `candidates` or `allowed_actions`.
    pub extra: serde_json::Map<String, serde_json::Value>,
    /// The cause, for the log only.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// One wrong place in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// JSON Pointer into the body, or `query/name`, `header/Name`, `path/name`.
    pub pointer: String,
    /// What is wrong there, in Vietnamese.
    pub vi: Cow<'static, str>,
    /// What is wrong there, in English.
    pub en: Cow<'static, str>,
}

impl Fault {
    /// A fault at `pointer`.
    pub fn new(pointer: impl Into<String>, vi: impl Into<Cow<'static, str>>, en: impl Into<Cow<'static, str>>) -> Self {
        Self { pointer: pointer.into(), vi: vi.into(), en: en.into() }
    }
}

impl Error {
    /// An error of this meaning, without details.
    pub fn new(code: Code) -> Self {
        Self { code, faults: Vec::new(), extra: serde_json::Map::new(), source: None }
    }

    /// An error at one place of the request.
    pub fn at(code: Code, fault: Fault) -> Self {
        Self::new(code).with(vec![fault])
    }

    /// A value that was understood but cannot be.
    pub fn invalid(
        pointer: impl Into<String>,
        vi: impl Into<Cow<'static, str>>,
        en: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::at(Code::InvalidValue, Fault::new(pointer, vi, en))
    }

    /// Something that should not happen; the caller learns nothing but the trace id.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..Self::new(Code::Internal) }
    }

    /// Adds places.
    pub fn with(mut self, faults: Vec<Fault>) -> Self {
        self.faults.extend(faults);
        self
    }

    /// Adds a member to the problem document.
    pub fn member(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code.as_str())?;
        for fault in &self.faults {
            write!(f, "; {}: {}", fault.pointer, fault.en)?;
        }
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

macro_rules! codes {
    ($($(#[$meta:meta])* $variant:ident = $word:literal, $status:literal, $vi:literal, $en:literal;)+) => {
        /// Every code that a problem document can carry. Closed: a new one is a change of contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($(#[$meta])* #[doc = $en] $variant),+ }

        impl Code {
            /// All codes, in the order of the documentation.
            pub const ALL: &'static [Code] = &[$(Code::$variant),+];

            /// The stable spelling.
            pub const fn as_str(self) -> &'static str { match self { $(Code::$variant => $word),+ } }

            /// The HTTP status.
            pub const fn status(self) -> u16 { match self { $(Code::$variant => $status),+ } }

            /// The title in Vietnamese.
            pub const fn vi(self) -> &'static str { match self { $(Code::$variant => $vi),+ } }

            /// The title in English.
            pub const fn en(self) -> &'static str { match self { $(Code::$variant => $en),+ } }
        }
    };
}

codes! {
    MalformedBody = "malformed_body", 400, "Nội dung gửi lên không đọc được", "The body cannot be read";
    UnknownMember = "unknown_member", 400, "Có thành phần lạ", "There is an unknown member";
    WrongType = "wrong_type", 400, "Sai kiểu dữ liệu", "A value has the wrong type";
    InvalidQuery = "invalid_query", 400, "Tham số truy vấn không hợp lệ", "A query parameter is not valid";
    InvalidCursor = "invalid_cursor", 400, "Con trỏ trang không hợp lệ", "The page cursor is not valid";
    InvalidHeader = "invalid_header", 400, "Tiêu đề yêu cầu không hợp lệ", "A request header is not valid";
    IdempotencyKeyRequired = "idempotency_key_required", 400, "Thiếu tiêu đề Idempotency-Key", "The Idempotency-Key header is missing";
    AmbiguousUnit = "ambiguous_unit", 400, "Mã hoặc tên đơn vị chỉ nhiều đơn vị, cần nêu ngày", "The code or name names several units; give a date";
    Unauthenticated = "unauthenticated", 401, "Chưa xác thực", "No valid token";
    Forbidden = "forbidden", 403, "Không có quyền thực hiện việc này", "You may not do this";
    SeparationOfDuties = "separation_of_duties", 403, "Người lập không được tự duyệt việc của mình", "Whoever submits cannot decide on it";
    NotFound = "not_found", 404, "Không tìm thấy", "Not found";
    MethodNotAllowed = "method_not_allowed", 405, "Phương thức không được phép", "Method not allowed";
    NotAcceptable = "not_acceptable", 406, "Không có định dạng được yêu cầu", "No such representation";
    RequestTimeout = "request_timeout", 408, "Nội dung gửi lên quá chậm", "The body did not arrive in time";
    InvalidTransition = "invalid_transition", 409, "Trạng thái hiện tại không cho phép việc này", "Not possible in the present state";
    RegisterClosed = "register_closed", 409, "Sổ đã khóa; muốn ghi hoặc sửa phải mở lại", "The register is closed; reopen it first";
    AlreadyExists = "already_exists", 409, "Đã có bản ghi như vậy", "Such a record exists already";
    AlreadyErased = "already_erased", 409, "Không còn dữ liệu cá nhân để xóa", "There is no personal value left to erase";
    InUse = "in_use", 409, "Tài khoản còn phân quyền chưa kết thúc; hãy kết thúc trước", "The account has grants that have not ended; end them first";
    NoHolder = "no_holder", 409, "Không có đơn vị nào giữ vai trò này vào ngày đó", "No unit holds this body on that day";
    IdempotencyInFlight = "idempotency_in_flight", 409, "Yêu cầu cùng khóa đang được xử lý", "A request with this key is in progress";
    Conflict = "conflict", 409, "Xung đột với thay đổi khác, hãy thử lại", "In conflict with another change; try again";
    Erased = "erased", 410, "Dữ liệu cá nhân trong câu trả lời này đã được xóa", "The personal values of this answer have been erased";
    Gone = "gone", 410, "Phần nhật ký này không còn được giữ ở đây", "This part of the log is not kept here any more";
    PreconditionFailed = "precondition_failed", 412, "Bản ghi đã thay đổi từ lần đọc trước", "The record has changed since it was read";
    BodyTooLarge = "body_too_large", 413, "Nội dung gửi lên quá lớn", "The body is too large";
    UriTooLong = "uri_too_long", 414, "Đường dẫn quá dài", "The path or query is too long";
    UnsupportedMediaType = "unsupported_media_type", 415, "Định dạng nội dung không được hỗ trợ", "The media type is not supported";
    InvalidValue = "invalid_value", 422, "Giá trị không hợp lệ", "A value is not valid";
    IdempotencyKeyReused = "idempotency_key_reused", 422, "Khóa đã dùng cho một yêu cầu khác", "The key was used for another request";
    PreconditionRequired = "precondition_required", 428, "Thiếu tiêu đề If-Match", "The If-Match header is missing";
    TooManyRequests = "too_many_requests", 429, "Quá nhiều yêu cầu, hãy chờ rồi thử lại", "Too many requests; wait before trying again";
    HeadersTooLarge = "headers_too_large", 431, "Tiêu đề yêu cầu quá lớn", "The request headers are too large";
    Internal = "internal", 500, "Lỗi nội bộ", "Internal error";
    Busy = "busy", 503, "Hệ thống đang bận, hãy thử lại sau", "Busy; try again later";
    ReadOnly = "read_only", 503, "Nhật ký không khớp với mốc đã ký nên hệ thống chỉ cho đọc", "The log is not the one that was signed, so nothing is written";
    NotSigned = "not_signed", 503, "Máy chủ này không có khóa ký nhật ký", "The log is not signed here: the service has no key for it";
    OutcomeUnknown = "outcome_unknown", 503, "Chưa rõ đã ghi hay chưa; gửi lại với cùng Idempotency-Key hoặc If-Match là an toàn", "Whether it was recorded is not known; sending it again with the same Idempotency-Key or If-Match is safe";
    StorageFull = "storage_full", 507, "Hết chỗ lưu trữ", "Storage is full";
}
