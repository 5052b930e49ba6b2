//! What every back end must do, case by case. A change of the traits begins here.
//!
//! A back end calls [`crate::conformance!`] with an async function that makes an empty store:
//!
//! ```ignore
//! async fn make() -> (TempDir, Arc<dyn Store>) { … }
//!
//! watchfire_store::conformance!(make);
//! ```
//!
//! The first half of the pair is dropped when the case has ended.

pub mod append;
pub mod world;

/// Makes one test for each case. The list is checked against the modules by a test of this crate.
#[macro_export]
macro_rules! conformance {
    ($make:ident) => {
        $crate::conformance! { $make;
            append {
                a_message_is_stored_as_it_was_given
                places_rise_in_the_order_of_the_batch
            }
        }
    };
    ($make:ident; $($module:ident { $($case:ident)+ })+) => {
        $(mod $module {
            $(#[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (guard, store) = super::$make().await;
                $crate::conformance::$module::$case(store).await;
                drop(guard);
            })+
        })+
    };
}
