"""What a mesh costs: load, validity, paired measurement, comparison, and the formats that others read and write."""
