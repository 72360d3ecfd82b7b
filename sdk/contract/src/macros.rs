//! The macros that turn declarations into types, dispatch and ABI.

/// Declares a struct that can be an argument, a result or a stored value, and describes it in the ABI.
///
/// ```
/// vouch_contract::record! {
///     /// A line of an order.
///     pub struct Line = ("Order line", "订单行") {
///         /// What is ordered.
///         pub item: String = ("Item", "商品"),
///         /// How many.
///         pub count: u32 = ("Count", "数量"),
///     }
/// }
/// let line = Line { item: "box".into(), count: 2 };
/// assert_eq!(vouch_contract::decode::<Line>(&vouch_contract::encode(&line)), Ok(line));
/// ```
#[macro_export]
macro_rules! record {
    (
        $(#[$meta:meta])*
        pub struct $name:ident = ($en:literal, $zh:literal) {
            $($(#[$field_meta:meta])* pub $field:ident : $ty:ty = ($field_en:literal, $field_zh:literal)),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $ty,)+
        }
        $crate::__codec!($name { $($field),+ });
        impl $crate::AbiType for $name {
            const TYPE: $crate::abi::TypeText = $crate::abi::wrapped("named", concat!("\"", stringify!($name), "\""));
        }
        impl $crate::AbiDefinition for $name {
            const NAME: &'static str = stringify!($name);
            const DEFINITION: $crate::abi::DefinitionText = {
                let mut text = $crate::abi::DefinitionText::new();
                text.push("{");
                text.title($en, $zh);
                text.push(",\"struct\":[");
                $crate::__fields!(text, $($field: $ty = ($field_en, $field_zh)),+);
                text.push("]}");
                text
            };
        }
    };
}

/// Declares an enum without fields that can be an argument, a result or a stored value, and describes it in the ABI.
///
/// ```
/// vouch_contract::choice! {
///     /// How an order stands.
///     pub enum State = ("State", "状态") {
///         /// Waiting.
///         Open = ("Open", "进行中"),
///         /// Done.
///         Closed = ("Closed", "已完成"),
///     }
/// }
/// assert_eq!(vouch_contract::encode(&State::Closed), [1, 0, 0, 0]);
/// ```
#[macro_export]
macro_rules! choice {
    (
        $(#[$meta:meta])*
        pub enum $name:ident = ($en:literal, $zh:literal) {
            $($(#[$variant_meta:meta])* $variant:ident = ($variant_en:literal, $variant_zh:literal)),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
        }
        impl $crate::Encode for $name {
            fn encode_to(&self, out: &mut $crate::Vec<u8>) {
                (*self as u32).encode_to(out);
            }
        }
        impl $crate::Decode for $name {
            fn decode(reader: &mut $crate::Reader<'_>) -> Result<Self, $crate::DecodeError> {
                let tag = <u32 as $crate::Decode>::decode(reader)?;
                $(if tag == Self::$variant as u32 { return Ok(Self::$variant); })+
                Err($crate::DecodeError)
            }
        }
        impl $crate::AbiType for $name {
            const TYPE: $crate::abi::TypeText = $crate::abi::wrapped("named", concat!("\"", stringify!($name), "\""));
        }
        impl $crate::AbiDefinition for $name {
            const NAME: &'static str = stringify!($name);
            const DEFINITION: $crate::abi::DefinitionText = {
                let mut text = $crate::abi::DefinitionText::new();
                text.push("{");
                text.title($en, $zh);
                text.push(",\"enum\":[");
                let mut first = true;
                $(
                    if !first { text.push(","); }
                    first = false;
                    text.push("{\"name\":");
                    text.quote(stringify!($variant));
                    text.push(",");
                    text.title($variant_en, $variant_zh);
                    text.push("}");
                )+
                let _ = first;
                text.push("]}");
                text
            };
        }
    };
}

/// Declares an event: a struct that [`emit`](crate::emit) takes and the ABI describes.
///
/// ```
/// vouch_contract::event! {
///     /// An order was placed.
///     pub struct Placed = ("Placed", "已下单") {
///         /// Its number.
///         pub order: u64 = ("Order", "订单"),
///     }
/// }
/// ```
#[macro_export]
macro_rules! event {
    (
        $(#[$meta:meta])*
        pub struct $name:ident = ($en:literal, $zh:literal) {
            $($(#[$field_meta:meta])* pub $field:ident : $ty:ty = ($field_en:literal, $field_zh:literal)),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $ty,)+
        }
        $crate::__codec!($name { $($field),+ });
        impl $crate::Event for $name {
            const NAME: &'static str = stringify!($name);
            const DEFINITION: $crate::abi::DefinitionText = {
                let mut text = $crate::abi::DefinitionText::new();
                text.push("{\"name\":");
                text.quote(stringify!($name));
                text.push(",");
                text.title($en, $zh);
                text.push(",\"fields\":[");
                $crate::__fields!(text, $($field: $ty = ($field_en, $field_zh)),+);
                text.push("]}");
                text
            };
        }
    };
}

/// Declares the contract: its errors, types, events and methods. Write it once, in the crate's `lib.rs`.
///
/// A method's function takes `&Context` and the arguments in the order declared, and returns `Result<R, E>` with an `E`
/// that becomes a [`Failure`](crate::Failure), for example the error type declared here.
///
/// ```
/// use vouch_contract::{Context, load, store};
///
/// vouch_contract::contract! {
///     name: "counter",
///     version: "1.0.0",
///     title: ("Counter", "计数器"),
///     errors: CounterError {
///         /// It is at its end.
///         Full = "full" ("The counter is full", "计数器已满"),
///     },
///     types: [],
///     events: [],
///     methods: {
///         call add(n: u64 = ("Number", "数量")) -> u64 = ("Add", "增加");
///         query total() -> u64 = ("Total", "总数");
///     }
/// }
///
/// fn add(_: &Context, n: u64) -> Result<u64, CounterError> {
///     let total = load::<u64>(b"total").unwrap_or(0).checked_add(n).ok_or(CounterError::Full)?;
///     store(b"total", &total);
///     Ok(total)
/// }
///
/// fn total(_: &Context) -> Result<u64, CounterError> {
///     Ok(load(b"total").unwrap_or(0))
/// }
///
/// # fn main() {
/// let mut kit = vouch_contract::kit::Kit::<Contract>::new();
/// assert_eq!(kit.call::<_, u64>("add", (5u64,)), Ok(5));
/// assert_eq!(kit.call::<_, u64>("add", (u64::MAX,)).unwrap_err().code, "contract.error.full");
/// assert_eq!(kit.call::<_, u64>("total", ()), Ok(5));
/// # }
/// ```
#[macro_export]
macro_rules! contract {
    (
        name: $name:literal,
        version: $version:literal,
        title: ($en:literal, $zh:literal),
        errors: $error:ident {
            $($(#[$error_meta:meta])* $variant:ident = $code:literal ($error_en:literal, $error_zh:literal)),* $(,)?
        },
        types: [$($ty:ident),* $(,)?],
        events: [$($event:ident),* $(,)?],
        methods: {
            $($kind:ident $method:ident ($($arg:ident : $arg_ty:ty = ($arg_en:literal, $arg_zh:literal)),* $(,)?)
                -> $result:ty = ($method_en:literal, $method_zh:literal);)*
        } $(,)?
    ) => {
        /// Errors that the contract declares.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $error {
            $($(#[$error_meta])* $variant,)*
        }

        impl From<$error> for $crate::Failure {
            fn from(error: $error) -> Self {
                match error {
                    $($error::$variant => Self::Declared { code: $code, message: $error_en },)*
                }
            }
        }

        /// Stands for the contract where its code is asked for, for example by the test kit.
        #[derive(Debug, Clone, Copy)]
        pub struct Contract;

        const __ABI: $crate::abi::AbiText = {
            let mut text = $crate::abi::AbiText::new();
            text.push("{\"abi\":1,\"name\":");
            text.quote($name);
            text.push(",\"version\":");
            text.quote($version);
            text.push(",");
            text.title($en, $zh);
            text.push(",\"methods\":[");
            let mut first = true;
            $(
                if !first { text.push(","); }
                first = false;
                text.push("{\"name\":");
                text.quote(stringify!($method));
                text.push(",\"kind\":");
                text.quote(stringify!($kind));
                text.push(",");
                text.title($method_en, $method_zh);
                text.push(",\"arguments\":[");
                $crate::__fields!(text, $($arg: $arg_ty = ($arg_en, $arg_zh)),*);
                text.push("]");
                text.push(<$result as $crate::abi::AbiResult>::RESULT.as_str());
                text.push("}");
            )*
            let _ = first;
            text.push("],\"events\":[");
            let mut first = true;
            $(
                if !first { text.push(","); }
                first = false;
                text.push(<$event as $crate::Event>::DEFINITION.as_str());
            )*
            let _ = first;
            text.push("],\"errors\":[");
            let mut first = true;
            $(
                if !first { text.push(","); }
                first = false;
                text.push("{\"code\":");
                text.quote($code);
                text.push(",");
                text.title($error_en, $error_zh);
                text.push("}");
            )*
            let _ = first;
            text.push("],\"types\":{");
            let mut first = true;
            $(
                if !first { text.push(","); }
                first = false;
                text.quote(<$ty as $crate::AbiDefinition>::NAME);
                text.push(":");
                text.push(<$ty as $crate::AbiDefinition>::DEFINITION.as_str());
            )*
            let _ = first;
            text.push("}}");
            text
        };

        impl $crate::Contract for Contract {
            const ABI: &'static str = __ABI.as_str();

            fn kind(method: &str) -> Option<$crate::MethodKind> {
                match method {
                    $(stringify!($method) => Some($crate::__kind!($kind)),)*
                    _ => None,
                }
            }

            fn dispatch(
                context: &$crate::Context,
                method: &str,
                arguments: &[u8],
            ) -> Result<$crate::Vec<u8>, $crate::Failure> {
                match method {
                    $(stringify!($method) => {
                        let Ok(($($arg,)*)) = $crate::decode::<($($arg_ty,)*)>(arguments) else {
                            return Err($crate::Failure::BadArguments(
                                concat!("the arguments of ", stringify!($method), " do not decode"),
                            ));
                        };
                        let result: $result = self::$method(context, $($arg),*)?;
                        Ok($crate::encode(&result))
                    })*
                    _ => {
                        let _ = (context, arguments);
                        Err($crate::Failure::UnknownMethod)
                    }
                }
            }
        }

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "names that the host looks for")]
        mod __exports {
            #[used]
            #[unsafe(link_section = "vouch-abi")]
            static ABI: [u8; super::__ABI.len()] = super::__ABI.to_array();

            #[unsafe(no_mangle)]
            extern "C" fn vouch_call(input_bytes: u32) {
                $crate::run::<super::Contract>(input_bytes);
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __kind {
    (call) => {
        $crate::MethodKind::Call
    };
    (query) => {
        $crate::MethodKind::Query
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __fields {
    ($text:ident, $($field:ident : $ty:ty = ($en:literal, $zh:literal)),*) => {
        let mut first = true;
        $(
            if !first { $text.push(","); }
            first = false;
            $crate::abi::field(&mut $text, stringify!($field), <$ty as $crate::AbiType>::TYPE.as_str(), ($en, $zh));
        )*
        let _ = first;
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __codec {
    ($name:ident { $($field:ident),+ }) => {
        impl $crate::Encode for $name {
            fn encode_to(&self, out: &mut $crate::Vec<u8>) {
                $($crate::Encode::encode_to(&self.$field, out);)+
            }
        }
        impl $crate::Decode for $name {
            fn decode(reader: &mut $crate::Reader<'_>) -> Result<Self, $crate::DecodeError> {
                Ok(Self { $($field: $crate::Decode::decode(reader)?,)+ })
            }
        }
    };
}
