//! Networks and their products, whoever wrote them.

mod candle_module;
mod compositions;
mod every_network;
mod fisher;
mod products;
