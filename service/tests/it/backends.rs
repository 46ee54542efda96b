//! One suite, two databases.
//!
//! A case gets an application and does not know what is under it. On SQLite each case is a test of its own, with a database
//! in memory. On PostgreSQL all cases are one test, because a test is a process, and a server for each would take longer
//! than the cases do: see `postgres`.

use std::pin::Pin;

use crate::app::App;

/// A case with its name.
pub(crate) type Case = (&'static str, fn(App) -> Pin<Box<dyn Future<Output = ()> + Send>>);

/// Makes tests on SQLite of these functions, and a list for PostgreSQL.
macro_rules! on_both_databases {
    ($($case:ident),+ $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(crate::app::App::new().await).await;
                }
            )+
        }

        pub(crate) const CASES: &[crate::backends::Case] = &[
            $((concat!(module_path!(), "::", stringify!($case)), |app| Box::pin($case(app)))),+
        ];
    };
}
